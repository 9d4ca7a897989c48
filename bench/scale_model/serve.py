"""Answers a number with whether it is odd."""


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return [int(line) for line in body.split()]


def predict_fn(numbers, model):
    return [number % 2 for number in numbers]


def output_fn(answers, accept):
    return "\n".join(map(str, answers)), "text/csv"
