"""The use cases: each takes a typed request, returns a typed result, prints nothing, and can be
called from Python. Progress goes to the `watch` callback.

Arrows inside: demo, `gate` > investigate; bisect, calibrate, compare > `verify`; investigate,
profile > `launched`; those two, change, `verify` > setup, `stored` > publish > `ci`; all of them
and init > request.
`bench`, `profiles` and doctor stand alone.
"""
