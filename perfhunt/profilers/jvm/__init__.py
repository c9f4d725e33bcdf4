"""The JVM through Java Flight Recorder."""
