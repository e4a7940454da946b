"""What a family owns: shared folders, fetched drives, and the connections that carry them.

Upstream: none, this floor is ours.
Door: the sub-rooms `files` (the disk side), `peers` (connections), `sharing` and `fetching`.
Must not know: the web, mDNS, LEDs, the command line; `app.py` hands it what they find.
Later issues add users, roles, pairing, seeding and status here.
"""
