"""What a short look at a low rate can say: `sample` what so many requests show, `smoke` the SLO
judged by them.
"""
