"""How commands are decided: parts of the state machine, each over one `Step`.

Functions here are pure in the sense of the state machine: what they do depends on the state, the
log's time and their arguments, and all of it ends in the changes of the step.
"""
