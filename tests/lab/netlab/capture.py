"""A minimal packet recorder: `capture DEVICE FILE` writes Ethernet frames as pcap until killed."""

import socket
import struct
import sys
import time
from pathlib import Path


def main(device: str, path: str) -> None:
    """Record every frame of the device; says `ready` once it listens."""
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sock,
        Path(path).open("wb", buffering=0) as out,
    ):
        sock.bind((device, 0))
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            frame = sock.recv(65535)
            now = time.time()
            micro = int(now % 1 * 1e6)
            out.write(struct.pack("<IIII", int(now), micro, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
