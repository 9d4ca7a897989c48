"""Labels: audits of a channel's, what a reader has corrected of them, and what several annotators have said."""
