"""The net floor: bytes between two machines. Knows nothing of cores, drives or people."""
