"""Where SNS keeps what is on its way, who it is to others, where its certificate is: for those who must know it before
SNS is imported."""

QUEUE = "sns-deliveries"
HTTP_QUEUE = "sns-http"
CHANGES = "sns"
"""Announced when what the evaluator knows of a topic changes: its policy, its tags, that it is there."""
PRINCIPAL = "sns.amazonaws.com"
CERTIFICATE_PATH = "/SimpleNotificationService-"
