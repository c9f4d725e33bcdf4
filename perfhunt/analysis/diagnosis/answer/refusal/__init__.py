"""Which function refuses, read in the application's code: its definitions and what names stand for
(`definitions`, `meaning`), how a status may be spelled (`spelling`), where one is written and under
which test (`places`), which routes a function answers (`routes`), and who decides (`deciding`).

One way only, each may import those named before it.
"""
