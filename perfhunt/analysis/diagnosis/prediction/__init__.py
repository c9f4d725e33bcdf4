"""What a fix would bring, by operational analysis: the resources of the service as stations, which
of them binds, and what is left of each without a finding.

One way only, each may import those named before it: cpu_cost, station; cpu_stations,
thread_stations; curve; binding, relief; whatif; foreseen.
"""
