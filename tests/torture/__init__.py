"""Real node processes under real faults, and a judge over what their callers were told.

`python -m tests.torture` (`make torture`): `isolation` gives the run a small world of its own,
`grounds` puts every node and every group of callers in a place there, `nemesis` breaks what
`faults` can break, `callers_process` asks and records, `judging` reads the records afterwards.
"""
