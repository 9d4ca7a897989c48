"""What the project promises of its figures, and what each figure means."""

from __future__ import annotations

# Servers of bench/serving.py: how their figures' names begin, what they are, and what is asked of each figure.
_NOTHING = ("", "")
_SERVERS = (
    ("", "our model server alone", ("", "; at least 0.7")),
    ("invoke_", "the whole InvokeEndpoint", ("", "; at least 0.5")),
    ("batched_", "our model server, requests that come together predicted together", _NOTHING),
    ("bentoml_", "BentoML", _NOTHING),
    ("litserve_", "LitServe", _NOTHING),
    ("mlflow_", "MLflow's server", _NOTHING),
    ("mms_", "multi-model-server", _NOTHING),
)
_OF_A_SERVER = {
    "overhead_ms": "a request beyond the bare function",
    "throughput_ratio": "requests of 8 clients over the bare function's calls",
}
# Of bench/subset.py: what an epoch is made of.
_SUBSETS = {
    "compressed": "all pictures in fewer epochs",
    "fixed": "a part that is drawn once",
    "resampled": "another part each epoch",
    "infobatch": "another part each epoch, less of what is learned",
    "glister": "GLISTER-online",
}
# Of bench/compile.py: which model, and where it comes from.
_COMPILED = {
    "forest": ("a forest", "scikit-learn"),
    "xgboost": ("a booster", "XGBoost"),
    "resnet18": ("a ResNet-18 at a quarter of its width", "PyTorch"),
    "detector": ("the detector", "PyTorch"),
}
_OF_A_COMPILED_MODEL = {
    "speedup": "a request to {model} in {framework}, over one to the compiled one; at least 2",
    "agreement": "held-out requests that both answer alike; at least 0.995",
    "size": "the compiled model's bytes over the original's",
    "ms": "milliseconds of a request in {framework}",
    "compiled_ms": "of the same, compiled",
}
# What the project promises, by figure: (at most, what it means); where two benchmarks have one, by `benchmark/figure`.
PROMISES: dict[str, tuple[float | None, str]] = {
    "cycle_seconds": (None, "data arrive → the new champion answers, without the quiet period"),
    "bare_seconds": (None, "the bare scripts: train, evaluate, load"),
    "overhead_seconds": (3.0, "what Ratchet and the embedded AWS add"),
    "cycle_over_bare": (0.4, "the same with warm containers, over the bare scripts"),
    "warm/trial_overhead_seconds": (0.15, "a training job's time beyond its fit's own"),
    "cold_cycle_over_bare": (None, 'the one with `{"warm": false}`'),
    "cold_trial_overhead_seconds": (None, "the other with it"),
    "cold_cycle_seconds": (None, "a cycle with it, in seconds"),
    "interpreter_mib": (None, "MiB that a warm interpreter of scikit-learn's image holds, shared with its containers"),
    "ready_seconds": (1.0, "the embedded AWS starts, until it answers"),
    "loaded_mb": (200.0, "the server's memory with two models serving"),
    "invoke_ms": (5.0, "InvokeEndpoint, a decision tree"),
    "serving/invoke_ms": (2.0, "InvokeEndpoint, a decision tree, one light client"),
    "serving/bare_ms": (None, "a call of the forest's predict function, nothing around it"),
    "serving/net_bare_ms": (None, "the same of the network's"),
    **{
        f"serving/{model}{prefix}{name}": (None, f"{server}: {meaning}{also}{'' if model else limit}")
        for model, also in (("", ""), ("net_", ", the network"))
        for prefix, server, limits in _SERVERS
        for (name, meaning), limit in zip(_OF_A_SERVER.items(), limits, strict=True)
    },
    "invoke_forest_ms": (None, "InvokeEndpoint, a forest of 50 trees, which alone takes about 2 ms"),
    "processes_mb": (None, "memory of all processes that the server has started, shared pages counted in each"),
    "stop_seconds": (2.0, "a rule becomes true → the training process has ended"),
    "ours_seconds": (1.0, "of it, until SageMaker has taken StopTrainingJob"),
    "judged_seconds": (None, "of it, until the rule has judged"),
    "managed_stop_seconds": (2.0, "the same where SageMaker evaluates the rule, as the embedded one does"),
    "reduction": (None, "parameters before and after pruning, within a point of validation accuracy; at least 10"),
    "accuracy_drop": (1.0, "points of test accuracy that pruning cost, the worst of the seeds; negative: it gained"),
    "ended_by_rule": (None, "series of pruning rounds that the rule AccuracyDrop has ended"),
    "series": (None, "of so many; the others went through all rounds"),
    "gradient_difference": (1e-6, "of a batch's gradient, two hosts to one, as a share of the largest; in float64"),
    "gradient_difference_float32": (None, "the same in the precision that trains, rounding included"),
    "accuracy_one": (None, "what prune_cnn's ResNet-18 recognises after eight epochs on one host"),
    "accuracy_two": (None, "the same, trained on two"),
    "seconds_one": (None, "of the training on one host"),
    "seconds_two": (None, "on two, which share this machine"),
    "synth_seconds": (None, "`cdk synth` of all local stacks"),
    "synth_ratio": (None, "`cdk synth` of 50 pipelines over that of one"),
    "deploy_seconds": (None, "`ratchet up` of 40 new pipelines, a pipeline"),
    "put_ms": (20.0, "PutObject while 20 pipelines start at once, and until all have a champion"),
    "put_ms_p95": (None, "of these, 95 % took at most so long"),
    "champions_seconds": (None, "20 pipelines get their data at once → all have a champion"),
    "bare_seconds_of_all": (None, "their scripts as plain processes, one a core"),
    "champions_over_bare": (None, "the one over the other"),
    "triggers_seconds": (None, "1,000 objects arrive → all are taken, and nothing runs"),
    "trigger_runs": (None, "in so many runs"),
    "run_seconds": (None, "a run of a model that takes no time, of 200 in a row"),
    "seconds_drift": (None, "the mean of the last ten over that of the first ten"),
    "rss_growth_mb": (None, "what the server's memory grew by over these runs"),
    "state_growth_kb": (None, "what a run adds to the state folder, objects and logs included"),
    "runs_seconds": (None, "`ratchet runs` of a pipeline with 5,000 recorded runs"),
    "status_seconds": (None, "`ratchet status` of all pipelines"),
    "probe_cost": (0.03, "what the probe adds to a ResNet-18 step, as a share of it"),
    "smdebug_cost": (None, "what smdebug 1.0.34 adds, saving the same"),
    "tickets/accuracy": (None, "of 3,000 tickets, each held out once a seed; cross-validation chose the candidate"),
    "tickets/accuracy_low": (None, "its interval of 95 %, from"),
    "tickets/accuracy_high": (None, "and to"),
    "tickets/tfidf_accuracy": (None, "of the candidate tf-idf alone"),
    "tickets/embedding_accuracy": (None, "of the candidate embedding alone"),
    "tickets/baseline_accuracy": (None, "TF-IDF with logistic regression as scikit-learn has them, same splits"),
    "tickets/gain": (None, "above that, paired"),
    "tickets/gain_low": (None, "its interval of 95 %, from"),
    "tickets/gain_high": (None, "and to"),
    "tickets/coverage_at_95": (None, "of held-out tickets that the chosen one routes by itself"),
    "tickets/precision_at_95": (None, "of these that it routes right; 0.95 were in cross-validation"),
    "tickets/tfidf_seconds": (None, "of a training of tf-idf with all its cross-validations, one core"),
    "tickets/embedding_seconds": (None, "of one of embedding"),
    "views_cost": (
        0.03,
        "what five views every 50 steps add to a training, as a share of its seconds of the processor",
    ),
    "views_wall_cost": (None, "the same of its steps' time, which others on the machine disturb"),
    "slow_view_cost": (None, "how much longer a step is, as a share, while a view takes ten seconds"),
    "views_beside": (None, "what the five views take on a core of their own, as a share of the training's seconds"),
    "views_close_seconds": (None, "how much longer the probe takes to close, the last pictures included"),
    "xgboost_probe_cost": (0.1, "what the probe adds to 100 rounds of XGBoost, as a share of them"),
    "sklearn_probe_cost": (None, "what it adds to a forest of scikit-learn's"),
    "keras_probe_cost": (None, "what it adds to a small network in Keras, on PyTorch"),
    "false_stops": (0.0, "healthy trainings that README's rules would have stopped"),
    "missed_stops": (1.0, "sick trainings that they wouldn't have"),
    "healthy": (None, "of so many; README's values were found on these kinds"),
    "sick": (None, "of so many"),
    "unseen_false_stops": (None, "the same of kinds to which nothing was fitted"),
    "unseen_missed_stops": (None, "the same of such; a kind is three seeds"),
    "unseen_healthy": (None, "of so many"),
    "unseen_sick": (None, "of so many"),
    "traffic/requests": (None, "sent without pause while traffic shifts five times"),
    "traffic/failed": (0.0, "of them, but for those that the bad challenger itself answered with an error"),
    "weight_error": (2.0, "points between a new fleet's share of requests and what was asked, at the worst step"),
    "rollback_seconds": (2.0, "a bad challenger's first error → the old fleet has everything, less the alarm's period"),
    "champion_seconds": (None, "UpdateEndpoint back to an earlier configuration → it answers everything"),
    "step_requests": (None, "the fewest requests from which a step's share was taken"),
    "kills": (None, "`kill -9` at random moments of runs, rollbacks, deployments, destructions, updates and uploads"),
    "lost": (0.0, "acknowledged writes that weren't there afterwards, or not whole"),
    "orphans": (0.0, "processes of killed servers, and resources of deleted stacks, that were left"),
    "wrong_champions": (0.0, "times at which endpoint, run table and answers didn't agree afterwards"),
    "batch/throughput_ratio": (None, "a transform job of 100,000 digits beside the bare predict loop; at least 0.5"),
    "batch/rows_per_second": (None, "of the whole job, from its request to its end"),
    "batch/bare_rows_per_second": (None, "of the loop, which has its model before it begins"),
    "batch/wrong_rows": (0.0, "rows that weren't answered once, in order and with their name"),
    **{
        f"compile/{name}_{figure}": (None, meaning.format(model=model, framework=framework))
        for name, (model, framework) in _COMPILED.items()
        for figure, meaning in _OF_A_COMPILED_MODEL.items()
    },
    "twice_as_fast": (None, "of these models, how many keep both; at least three"),
    "mnist_keras/accuracy": (None, "held-out digits that serve.py tells right on PyTorch, the median; at least 0.97"),
    "mnist_keras/tensorflow_accuracy": (None, "that Keras tells right on TensorFlow, where it was trained"),
    "mnist_keras/backend_difference": (1e-4, "between the two, of any digit's any probability, the largest"),
    "mnist_keras/disagreements": (None, "held-out digits of which the two name another class, all seeds together"),
    "mnist_keras/seconds": (None, "of a training on one core, imports and probe included"),
    "mnist_keras/held_out": (None, "digits of MNIST's test set, of which four times as many are learned from"),
    "mnist_keras/seeds": (None, "of the split, the weights and the order"),
    "car_evaluation/accuracy": (None, "held-out cars that a chain of three containers tells right; at least 0.985"),
    "recall_60": (None, "held-out pictures of a 60 km/h sign that are taken for one, of all of them; at least 0.97"),
    "recall_60_least": (None, "what that is at least with 95 % confidence, of so few pictures"),
    "recall_60_most_likely": (
        None,
        "the same where the most likely class were answered, whatever is worse to overlook",
    ),
    "taken_for_60": (None, "held-out pictures of other signs that are taken for one"),
    "taken_for_60_most_likely": (None, "the same by the most likely class"),
    "threshold_60": (None, "the probability from which one is answered"),
    "traffic_signs/accuracy": (None, "held-out signs that are recognised"),
    "accuracy_most_likely": (None, "the same by the most likely class"),
    "others_below_floor": (
        None,
        "of the 42 other classes, with no say in how thresholds are chosen, those of which less than 0.97 are found",
    ),
    "others_below_floor_most_likely": (None, "the same by the most likely class"),
    "others_false_alarms": (None, "other signs' held-out pictures that are taken for such a class, on average"),
    "accuracy_without_twins": (None, "of those that are like no training picture of their class"),
    "validation_accuracy": (None, "of training signs that were kept out, as far as tracks can be told by likeness"),
    "deletion_gain": (None, "area under random maps' deletion curves less that of full gradients'; above 0 is better"),
    "deletion_gain_pixels": (None, "the same beside single pixels at random"),
    "deletion_gain_other": (None, "the same beside the maps of other pictures"),
    "grad_cam_deletion_gain": (None, "Grad-CAM's, beside random maps"),
    "randomisation_changes": (None, "1 less the rank correlation of maps with those of fresh weights"),
    "noise_changes": (None, "the same of two maps of chance"),
    "traffic_signs/train_seconds": (None, "a seed's training, of one core"),
    "car_evaluation/folds": (None, "the mean of so many folds"),
    "car_evaluation/identical": (None, "all cars whose served answers, twice, are the offline one; as a share: 1"),
    "car_evaluation/rows": (None, "cars, of which four fifths are learned from"),
    "autoencoder/error": (
        None,
        "what held-out digits lose by becoming 20 numbers, squared, a pixel; below `pca_error`",
    ),
    "autoencoder/pca_error": (
        None,
        "what they lose by 20 principal components of all digits that could be learned from",
    ),
    "autoencoder/knn_accuracy": (None, "held-out digits whose five nearest latents tell them right"),
    "autoencoder/pca_knn_accuracy": (None, "the same by principal components"),
    "autoencoder/purity": (None, "held-out digits that are the most frequent ones of their cluster of latents"),
    "autoencoder/pca_purity": (None, "the same by principal components"),
    "autoencoder/gain": (None, "the gate's metric: how much less is lost than by components of the held-out digits"),
    "autoencoder/below_pca": (None, "seeds whose error is below `pca_error`"),
    "autoencoder/seeds": (None, "of so many"),
    "autoencoder/seconds": (None, "that a training takes, on one core, or what others left of it"),
    "bert_qa/f1": (None, "token F1 of served answers about articles not seen, the median of the seeds; at least 0.45"),
    "bert_qa/exact_match": (None, "the share of them that is right word for word"),
    "bert_qa/untrained_f1": (None, "the F1 before training"),
    "bert_qa/f1_always": (None, "the F1 where each question must be answered, however unsure the model is"),
    "bert_qa/unanswered": (
        None,
        "the share of questions to which it says that there is no answer, though there is one",
    ),
    "bert_qa/refused": (None, "the share of questions about another article to which it says so"),
    "bert_qa/attention_change": (None, "how much of a sentence's attention has moved at the end, from 0 to 1"),
    "bert_qa/attention_step_change": (None, "in the half of the training in which it moves less; above 0"),
    **{
        f"labels/{name}_{key}": (None, f"{meaning}: {what}")
        for name, what in (("digits", "scikit-learn's digits"), ("tickets", "3,000 tickets"))
        for key, meaning in (
            (
                "precision",
                "of an audit's first n suspects, those that were made wrong, n in all, the mean of the seeds",
            ),
            ("recall", "of the labels that were made wrong, those among the first n suspects"),
            ("base", "the precision of as many that are drawn by chance"),
            ("agreement", "labels that the audit's models predict, who haven't seen the example"),
            ("estimated", "wrong labels that the audit estimates, over those that were made wrong"),
            ("seconds", "of the processor that an audit takes"),
        )
    },
    "dawid_skene": (None, "items of five annotators, one of them bad, that are labelled right; above `majority`"),
    "majority": (None, "the same by the label that most have given"),
    "labels/seeds": (None, "of the wrong labels and of the annotators"),
    "detector/map50": (
        None,
        "mean average precision at an overlap of 0.5, of cells in pictures not seen: backbone pretrained on CIFAR-10",
    ),
    "detector/map": (None, "the same, the mean of overlaps from 0.5 to 0.95"),
    "detector/scratch_map50": (None, "at 0.5, of fresh weights, at equal epochs; below map50"),
    "detector/scratch_map": (None, "from 0.5 to 0.95"),
    "accuracy_full": (None, "held-out CIFAR-10 pictures that are recognised after 12 epochs of all 9,000"),
    "seconds_full": (None, "what that takes, of one core"),
    **{
        f"accuracy_{method}_{percent}": (None, f"{told}, {percent} % an epoch, in {seconds} of the seconds")
        for percent, seconds in {10: "a sixth", 30: "two fifths", 50: "two thirds"}.items()
        for method, told in _SUBSETS.items()
    },
    **{
        f"seconds_{method}_{percent}": (None, "what that took, selections included")
        for percent in (10, 30, 50)
        for method in _SUBSETS
    },
    **{
        f"drop_{percent}": (points, "points by which the best of these is below all pictures; the paper's line")
        for percent, points in {10: 3.0, 30: 1.2, 50: 0.2}.items()
    },
    **{
        f"glister_gain_{percent}": (None, "points by which glister is above the better random part; negative: below")
        for percent in (10, 30, 50)
    },
    **{
        f"{case}_{method}": (None, f"{told}, where {what}, in two fifths of the seconds")
        for case, what in {"noisy": "40 % of labels are wrong", "imbalanced": "classes are 1:50"}.items()
        for method, told in {**_SUBSETS, "trimmed": "without the greatest losses"}.items()
    },
    **{f"{case}_full": (None, "all pictures for all epochs, there") for case in ("noisy", "imbalanced")},
    "random_f1": (None, "the best of 50 trials, macro F1 on one fixed split: Random"),
    "bayesian_f1": (None, "Bayesian; at least 0.964"),
    "early_stopping_f1": (None, "Bayesian with early stopping"),
    "completed_early_f1": (None, "Bayesian with early stopping, done when six trials in a row were no improvement"),
    "hyperband_f1": (None, "Hyperband"),
    "grid_f1": (None, "Grid, of 48 combinations"),
    "warm_start_f1": (None, "25 more trials in finer ranges, warm from the random and the Bayesian job"),
    "warm_start_gain": (None, "by how much these are above the best of both parents"),
    "optuna_gp_f1": (None, "Optuna's Gaussian process, which needs torch"),
    "optuna_tpe_f1": (None, "Optuna's tree-structured Parzen estimator"),
    "syne_tune_bore_f1": (None, "Syne Tune's density-ratio Bayesian searcher"),
    "multifidelity_f1": (
        None,
        "the best of these that stop early within half of random's fit seconds; at least Bayesian's less 0.003",
    ),
    "multifidelity_cost": (0.5, "its fit seconds by random's"),
    "tune/trial_overhead_seconds": (0.25, "what the embedded AWS adds to a cold trial, beyond starting its process"),
    "warm_trial_seconds": (0.15, "a trial that does nothing, in a warm container, in all"),
    "slots_idle": (0.1, "the share of two slots' time in which no trial had them, of such trials"),
    "syne_tune_overhead_seconds": (None, "what Syne Tune's local backend adds, looking ten times a second"),
    "syne_tune_default_overhead_seconds": (None, "as it comes: it looks every five seconds"),
    "saved": (None, "the share of 20 random trials' training seconds that early stopping saves; at least 0.28"),
    "loss_points": (0.2, "points of validation accuracy by which the best trial is worse for it; the mean"),
    "test_loss_points": (None, "the same by the accuracy on digits that chose nothing"),
    "bayesian_saved": (None, "the same of Bayesian trials"),
    "bayesian_loss_points": (None, "the same of Bayesian trials"),
    "bayesian_test_loss_points": (None, "the same of Bayesian trials"),
}
