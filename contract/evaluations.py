"""A champion that can't answer the held-out data: what the evaluation records of it, and what the gate makes of that.

Data that gain or lose a column, or labels of another type, are no error of the run that meets them: evaluation.json has
{"champion": {CANNOT_ANSWER: a sentence with the model's own error}} in the place of the champion's score.
"""

from __future__ import annotations

CANNOT_ANSWER = "cannot_answer"
# `gate.when_champion_cannot_answer`: the challenger is judged by the floor alone. Anything else: the champion stays.
FLOOR = "floor"
