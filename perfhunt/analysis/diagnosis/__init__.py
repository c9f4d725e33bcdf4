"""From charges to an answer: suspects ranked, the class of bottleneck, what a fix would bring,
doubts.

One way only, each may import those named before it: known; costs, limiting, suspects; ranking,
whatif, waterfall, features, rules, answer, classify, cautions; diagnosis.
"""
