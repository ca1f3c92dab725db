"""Trains, exports and checks Fogline's pairs of edge and cloud networks."""
