"""The data floor: signed data at rest. Meets `net` in `data.replication` only."""
