"""A blog whose usernames and slugs are unique across instances that share no database.

`README.md` beside this file starts two of them. Read `service` first: it holds the one thing that
an application must get right, the order of its writes.
"""
