"""The kernel's TCP counters, by a second reading of the same files."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from perfhunt.target.proc.sock_diag import accept_queues
from perfhunt.target.resources.counters import Counters, read_counters


def column(path: str, protocol: str, name: str) -> int:
    names, values = (
        line.split() for line in Path(path).read_text().splitlines() if line.startswith(protocol)
    )
    return int(values[names.index(name)])


def test_connections_dropped_and_segments_sent_again_are_read_by_their_names() -> None:
    before = column("/proc/self/net/netstat", "TcpExt:", "TCPSynRetrans")
    read = read_counters(os.getpid())
    after = column("/proc/self/net/netstat", "TcpExt:", "TCPSynRetrans")
    assert read.syn_retransmits is not None and before <= read.syn_retransmits <= after
    assert read.retransmits is not None
    assert read.retransmits <= column("/proc/self/net/snmp", "Tcp:", "RetransSegs")
    assert read.listen_drops is not None and read.listen_overflows is not None
    assert read.listen_drops >= read.listen_overflows


def test_of_a_process_that_has_ended_the_host_alone_is_counted() -> None:
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie, in no group of its own
        zombie = read_counters(ended.pid)
    gone = read_counters(ended.pid)
    for read in (zombie, gone):
        assert read.host_all is not None
        assert read.oom_kills is read.memory_hits is read.listen_drops is None


def test_only_what_both_readings_hold_has_grown() -> None:
    grown = Counters(listen_drops=7, retransmits=4).since(Counters(listen_drops=5))
    assert (grown.listen_drops, grown.retransmits) == (2, None)


def test_the_kernel_tells_port_waiting_and_backlog_of_a_socket_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as listener:
        port = listener.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        found = accept_queues()[os.fstat(listener.fileno()).st_ino]
        for client in clients:
            client.close()
    assert found == (port, 3, 7)
