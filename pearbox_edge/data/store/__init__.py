"""Many cores under one primary key: named, opened once, replicated together over streams.

Upstream: npm corestore 7.12.5 (sheet 16).
Door: `Corestore`; its `get`, `namespace` and `replicate`.
Must not know: bees, blobs or drives; how streams are made or whom they lead to.
Law: whoever knows a core's key may have it from here; nothing but the capability tells who does.
"""

from .aio import Corestore
from .names import Name, child_namespace, key_pair_of, manifest_of, seed_of

__all__ = ["Corestore", "Name", "child_namespace", "key_pair_of", "manifest_of", "seed_of"]
