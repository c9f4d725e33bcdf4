"""What the target's peers did at the knee, in words that all formats share."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.finding import BottleneckClass
from perfhunt.model.profile import SpanName
from perfhunt.model.run import Run
from perfhunt.model.states import Peer
from perfhunt.model.units import Cores, format_share
from perfhunt.reports.words import plural

HEAD = ("peer", "at", "connections", "CPU", "at work", "doing")
_OF_PEERS = (
    BottleneckClass.DATABASE,
    BottleneckClass.DOWNSTREAM,
    BottleneckClass.UNDETERMINED,
)
_MUCH: Cores = 0.25  # that a peer used beside another bottleneck: what it took, others had not
_WORTH = 0.05  # mean processes: what less of them did on average is left out


def peers_at_knee(run: Run) -> Sequence[Peer]:
    """The peers of a run, those that used most CPU first; of the baseline where none were seen
    later.
    """
    return run.peers.get(SpanName.KNEE) or run.peers.get(SpanName.BASELINE) or ()


def peers_that_matter(run: Run) -> Sequence[Peer]:
    """Of those the ones for a screen: all where a peer may be what stops the service, else those
    that used much of the cores.
    """
    peers = peers_at_knee(run)
    if run.bottleneck is None or run.bottleneck.category in _OF_PEERS:
        return peers
    return [peer for peer in peers if (peer.cores or 0.0) >= _MUCH]


def peer_cells(peer: Peer) -> tuple[str, ...]:
    """A row under `HEAD`."""
    others = f" and {peer.others:.0f} of others" if peer.others >= 1 else ""
    return (
        peer.name,
        ", ".join(peer.addresses),
        f"{peer.connections:.0f}{others}",
        _cpu(peer),
        "not known" if peer.busy_share is None else _at_work(peer),
        _doing(peer) or peer.note or "—",
    )


def peer_line(peer: Peer) -> str:
    """`postgres (127.0.0.1:5432): 1.60 cores, 4.00 more wanted; 8 connections; SELECT 5.6`."""
    where = "" if peer.addresses == (peer.name,) else f" ({peer.addresses[0]})"
    parts = [_cpu(peer), plural(round(peer.connections), "connection"), _doing(peer), peer.note]
    return f"{peer.name}{where}: " + "; ".join(filter(None, parts))


def _cpu(peer: Peer) -> str:
    if peer.cores is None:
        return "CPU not known"
    wanted = f", {peer.queued:.2f} more wanted" if peer.queued and peer.queued > _WORTH else ""
    return f"{peer.cores:.2f} cores{wanted}"


def _at_work(peer: Peer) -> str:
    whole = round(sum(peer.doing.values())) if peer.doing else peer.threads
    return f"{format_share(peer.busy_share or 0.0)} of {whole}"


def _doing(peer: Peer) -> str:
    most = sorted(peer.doing.items(), key=lambda each: -each[1])
    return ", ".join(f"{what} {n:.1f}" for what, n in most if n >= _WORTH)
