"""From charges to an answer: suspects ranked, the class of bottleneck, what a fix would bring,
doubts.

One way only, each may import those named before it: costs, limiting, suspects; ranking, features;
rules, prediction, waterfall; classify, cautions; diagnosis.
"""
