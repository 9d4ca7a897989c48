"""Gate: decides from the evaluation whether the challenger becomes the champion, and writes the decision down.

Environment: `ARTIFACT_BUCKET`.

AWS actions:
    s3:GetObject                                    the artifact bucket, runs/<pipeline>/*/evaluation/evaluation.json
    s3:PutObject                                    the artifact bucket, runs/<pipeline>/*/gate.json
    s3:ListBucket                                   the artifact bucket, runs/<pipeline>/* (a missing file says 404, not 403)
    kms:Decrypt, kms:GenerateDataKey                the key of the bucket
"""
