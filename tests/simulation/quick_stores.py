from __future__ import annotations
import hashlib
from bisect import bisect_left
from contextlib import contextmanager
from pathlib import Path
from namestore.core.state import StateMeta
from namestore.storage.interfaces import *
from namestore.errors import *


class MemoryLog:
    def __init__(self):
        self.d = dict(base=(0, 0), entries=[], term=0, vote=None, commit=0)
        self.v = self._copy(self.d)
        self.dirty = False

    @staticmethod
    def _copy(x):
        return dict(x, entries=list(x["entries"]))

    @property
    def first_index(self):
        return self.v["base"][0] + 1

    @property
    def last_index(self):
        return self.v["base"][0] + len(self.v["entries"])

    @property
    def last_term(self):
        return self.v["entries"][-1].term if self.v["entries"] else self.v["base"][1]

    @property
    def term(self):
        return self.v["term"]

    @property
    def voted_for(self):
        return self.v["vote"]

    @property
    def commit_index(self):
        return self.v["commit"]

    @property
    def synced_index(self):
        return min(self.last_index, self._syn) if hasattr(self, "_syn") else 0

    @property
    def durable_last_index(self):
        return self.d["base"][0] + len(self.d["entries"])

    @property
    def durable_vote(self):
        return (self.d["term"], self.d["vote"])

    def term_at(self, i):
        b = self.v["base"]
        if i == b[0]:
            return b[1]
        if b[0] < i <= self.last_index:
            return self.v["entries"][i - b[0] - 1].term
        return None

    def entries(self, start, bytes_max):
        if start < self.first_index:
            raise ValueError
        out = []
        n = 0
        for e in self.v["entries"][start - self.first_index :]:
            if out and n + len(e.command) > bytes_max:
                break
            out.append(e)
            n += len(e.command)
        return out

    def append(self, es):
        for e in es:
            assert e.index == self.last_index + 1
            self.v["entries"].append(e)
        self.dirty = True

    def truncate_from(self, i):
        if i <= self.v["commit"]:
            raise InvariantViolation("trunc")
        del self.v["entries"][i - self.first_index :]
        self._syn = min(self.synced_index, i - 1)
        self.dirty = True

    def drop_through(self, i):
        t = self.term_at(i)
        self.v["entries"] = self.v["entries"][i - self.first_index + 1 :]
        self.v["base"] = (i, t)
        self.dirty = True

    def reset(self, i, t):
        self.v.update(base=(i, t), entries=[], commit=max(i, self.v["commit"]))
        self.dirty = True
        self._syn = i

    def save_vote(self, t, v):
        assert t >= self.v["term"]
        self.v["term"] = t
        self.v["vote"] = v
        self.dirty = True

    def save_commit(self, i):
        assert i <= self.last_index
        self.v["commit"] = max(i, self.v["commit"])

    def sync(self):
        self.d = self._copy(self.v)
        self.dirty = False
        self._syn = self.last_index

    def crash(self):
        self.v = self._copy(self.d)
        self.dirty = False
        self._syn = self.last_index
        self.v["commit"] = min(self.v["commit"], self.last_index)

    def close(self):
        pass


class _View:
    def __init__(s, d, m):
        s.d = d
        s.meta = m

    def get_many(s, k):
        return [s.d.get(x) for x in k]

    def scan(s, start, prefix):
        for k in sorted(s.d):
            if k >= start and k.startswith(prefix):
                yield k, s.d[k]


class MemoryState(_View):
    def __init__(self):
        self.d = {}
        self.meta = StateMeta()
        self.dur = ({}, StateMeta())
        self.cp = {}

    @property
    def durable_index(self):
        return self.dur[1].applied_index

    def write(self, ch, meta):
        for k, v in ch.items():
            if v is None:
                self.d.pop(k, None)
            else:
                self.d[k] = v
        self.meta = meta

    @contextmanager
    def view(self):
        yield _View(dict(self.d), self.meta)

    def flush(self):
        self.dur = (dict(self.d), self.meta)

    def crash(self):
        self.d = dict(self.dur[0])
        self.meta = self.dur[1]

    def checkpoint(self):
        import pickle

        data = pickle.dumps((self.d, self.meta))
        m = self.meta
        self.flush()

        class C:
            meta = m
            path = Path("x")

            def files(s):
                return [CheckpointFile("data", len(data), hashlib.sha256(data).digest())]

            def read(s, f, o, l):
                return data[o : o + l]

            def release(s):
                pass

        return C()

    def install(self, directory):
        import pickle

        self.d, self.meta = pickle.loads(directory.data)
        self.flush()

    def close(self):
        pass


class MemoryIncoming:
    def __init__(self, state):
        self.id = None
        self.files = []
        self.data = b""

    def begin(self, i, files):
        if i != self.id:
            self.data = b""
        self.id = i
        self.files = files

    def wanted(self):
        n = self.files[0].size
        return None if len(self.data) >= n else (0, len(self.data), n - len(self.data))

    def write(self, f, o, d):
        if o != len(self.data):
            return False
        self.data += d
        return True

    def verify(self):
        return hashlib.sha256(self.data).digest() == self.files[0].checksum

    @property
    def directory(self):
        return self

    def discard(self):
        self.id = None
        self.data = b""
