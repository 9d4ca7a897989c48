"""One question about one sentence, looked at again and again while the model trains: what views.py draws.

The probe saves what the attention modules and their queries' and keys' projections give out, as pipeline.yaml's
collections say, in evaluation; and the sentence's tokens (letters.py).
"""

import torch
from letters import TOKENS, coded
from windows import Batch, Encoder

# With [CLS] and twice [SEP] 20 tokens.
QUESTION = "Where does the river rise?"
CONTEXT = "The river rises in the old hills and flows east."


class Watched:
    """The sentence, and the model that reads it."""

    def __init__(self, model, tokenizer, probe):
        encoder = Encoder(tokenizer)
        pair = encoder.pair(QUESTION, CONTEXT)
        window = encoder.window(pair, 0, len(pair.context))
        self.model, self.probe, self.batch = model, probe, Batch([window], encoder.pad)
        self.tokens = coded([tokenizer.id_to_token(number) for number in window.ids])

    @torch.no_grad()
    def look(self):
        """Reads the sentence once, in a step of evaluation of its own."""
        usual = self.model.config._attn_implementation
        self.model.eval()
        self.model.set_attn_implementation("eager")  # the one that gives out its attention; training's is faster
        try:
            with self.probe.mode("eval"):
                self.probe.tensor(TOKENS, self.tokens)
                self.batch.logits(self.model)
        finally:
            self.model.set_attn_implementation(usual)
