"""Charts and flame graphs as SVG, and profiles for the speedscope viewer."""
