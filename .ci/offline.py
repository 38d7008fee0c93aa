"""Runs a command where the loopback interface is all there is: python .ci/offline.py COMMAND [ARG ...]

To be started in a network namespace of its own (`unshare --net --map-root-user`), whose loopback interface is
still down; the tests' own servers need it.
"""

import fcntl
import os
import socket
import struct
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    request = struct.pack("16sH22x", b"lo", 0)
    name, flags = struct.unpack("16sH22x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))
    fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))
os.execvp(sys.argv[1], sys.argv[1:])
