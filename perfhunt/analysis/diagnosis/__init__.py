"""From charges to an answer: suspects ranked, the class of bottleneck, what a fix would bring, doubts."""
