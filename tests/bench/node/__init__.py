"""The parts of the group `node`: measurements of a whole running node, through its public doors."""
