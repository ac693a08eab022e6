"""What botocore's models leave out about a service, as data. Keep it tiny; every entry says why.

Next: models.py, which lays an overlay over the model as it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cosset.wire.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Overlay:
    """All of it is empty for most services.

    - `protocols`: further protocols, by botocore's names.
    - `error_defaults`: members of every error body; `failure_defaults`: in their place, of those with status 500.
    - `bare_errors`: rest-xml errors without the `<ErrorResponse>` around them, with a message even where there is
      none to give, and with the request's second id (S3).
    - `violation`: by operation (and for all others under ""), code and sentence for a body that breaks the model's
      constraints, or cannot be read; what headers, query and path carry is the service's own to check then.
    - `unreadable`: by their names on the wire, what to say of headers and parameters of the query that cannot be read
      (of others the sentence under ""), as an InvalidArgument; None: they are as a body that cannot be read.
      `ignores_unreadable`: those that are then as if they were not there.
    - `texts`: shapes that the model calls something else, and that are kept as the text that came.
    - `exact_times`: times in bodies always have their milliseconds.
    - `roots`: by operation, the root element of its answer, where it is not what the output shape is called, in
      `roots_namespace`. `bare_root`: the operation whose answer is that element's text.
    - `checks_roots`: a document must begin with the element that the operation takes.
    - `statuses`: of an operation's answer, where the model says another.
    - `superseded`: operations that share method and path with their successors, and are never meant.
    - `hides_values`: no violation shows the value.
    - `own_sentences`: members (as violations name them) whose pattern, when all other constraints of the call hold, is
      refused in a sentence of its own.
    - `null_elements_named`: the constraints of elements end with "Member must not be null".
    - `payload_types`: the content type of an operation's blob payload, where it is not application/octet-stream.
    - `answer_headers`: headers of an operation's answer that no member stands for, by the name the handler uses.
    - `checked_by_hand`: shapes whose own constraints the service checks itself, under another code and sentence.
    - `members_checked_by_hand`: the same for single members, as violations name them.
    - `telling_members`: by operation, a member whose presence in an answer makes its status another, and that status.
    - `unsigned`: operations that need no signature, where the model does not say so. They carry their own proof.
    - `requires_by_hand`: what is missing is the service's to say, too.
    - `form_names`: what the query protocol calls the elements of a list (`Shape`), the keys and values of a map, and
      single members (`Shape.Member`), where the model does not say it.
    - `xml_namespace`: of the answers of the query protocol, where the model does not say it; `xml_declared`: they begin
      with an XML declaration.
    - `url_member`: the member that the query protocol may leave out, because the request's own URL says it.
    - `unknown_action`: the query protocol's sentence for an action that is not there, or not at this URL.
    - `errors`: errors that have another code in the query protocol than in JSON, or a status of their own.
    - `query_sentences`: what the query protocol says of an error, by its code, where that is not what JSON says.
    - `query_json_names`: what members are called where the query protocol answers in JSON (`Shape.Member`).
    - `bare_query_errors`: operations without the `<Detail/>` that all other errors of the query protocol have here;
      None: none has it.
    """

    protocols: tuple[str, ...] = ()
    error_defaults: Mapping[str, Any] = field(default_factory=dict)
    failure_defaults: Mapping[str, Any] = field(default_factory=dict)
    bare_errors: bool = False
    violation: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unreadable: Mapping[str, str] | None = None
    ignores_unreadable: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    exact_times: bool = False
    roots: Mapping[str, str] = field(default_factory=dict)
    roots_namespace: str = ""
    bare_root: str | None = None
    checks_roots: bool = False
    statuses: Mapping[str, int] = field(default_factory=dict)
    superseded: frozenset[str] = frozenset()
    hides_values: bool = False
    own_sentences: Mapping[str, str] = field(default_factory=dict)
    null_elements_named: bool = False
    payload_types: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    checked_by_hand: frozenset[str] = frozenset()
    members_checked_by_hand: frozenset[str] = frozenset()
    telling_members: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    unsigned: frozenset[str] = frozenset()
    requires_by_hand: bool = False
    form_names: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    xml_namespace: str | None = None
    xml_declared: bool = False
    url_member: str | None = None
    unknown_action: str = "Could not find operation {action} for version {version}"
    errors: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    query_sentences: Mapping[str, str] = field(default_factory=dict)
    query_json_names: Mapping[str, str] = field(default_factory=dict)
    bare_query_errors: frozenset[str] | None = None

    def violation_of(self, operation: str) -> ServiceError:
        return ServiceError(*self.violation.get(operation) or self.violation[""])

    def unreadable_of(self, name: str, text: str) -> ServiceError:
        sentences = self.unreadable or {}
        sentence = sentences.get(name, sentences[""]).format(name=name)
        return ServiceError("InvalidArgument", sentence, fields={"ArgumentName": name, "ArgumentValue": text})


NOTHING = Overlay()

# IAM checks names and paths by hand: seen in reports of AttachRolePolicy, AttachUserPolicy, PutRolePolicy, CreateRole
# and ListPolicies, where the model's pattern would have been violated.
_IAM_NAMES = (
    *("roleName", "userName", "newUserName", "groupName", "newGroupName", "policyName", "instanceProfileName"),
)
_IAM_PATHS = {
    "path": "begin and end with /",
    "newPath": "begin and end with /",
    "pathPrefix": "begin with the / character",
}
_IAM_SENTENCES: Mapping[str, str] = {
    member: f"The specified value for {member} is invalid. It must contain only alphanumeric characters and/or the "
    "following: +=,.@_-"
    for member in _IAM_NAMES
} | {
    member: f"The specified value for {member} is invalid. It must {shape} and contain only alphanumeric characters "
    "and/or / characters."
    for member, shape in _IAM_PATHS.items()
}

# The API reference of SQS up to 2023, when the model still said it.
_SQS_FORM_NAMES: Mapping[str, str | tuple[str, str]] = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
    "MessageBodyAttributeMap": ("Name", "Value"),
    "MessageBodySystemAttributeMap": ("Name", "Value"),
    "MessageSystemAttributeMap": ("Name", "Value"),
    "QueueAttributeMap": ("Name", "Value"),
    "TagMap": ("Key", "Value"),
    "CreateQueueRequest.Attributes": "Attribute",
    "CreateQueueRequest.tags": "Tag",
    "GetQueueAttributesResult.Attributes": "Attribute",
    "ListQueueTagsResult.Tags": "Tag",
    "Message.Attributes": "Attribute",
    "Message.MessageAttributes": "MessageAttribute",
    "SendMessageBatchRequestEntry.MessageAttributes": "MessageAttribute",
    "SendMessageBatchRequestEntry.MessageSystemAttributes": "MessageSystemAttribute",
    "SendMessageRequest.MessageAttributes": "MessageAttribute",
    "SendMessageRequest.MessageSystemAttributes": "MessageSystemAttribute",
    "SetQueueAttributesRequest.Attributes": "Attribute",
    "TagQueueRequest.Tags": "Tag",
}

# Recorded: the codes of test_posting_to_fifo_requires_deduplicationid_group_id, test_too_many_entries_in_batch_request
# and others; the status of test_cancel_with_invalid_task_id_in_task_handle in JSON too. The rest as the model had them.
_SQS_ERRORS: Mapping[str, tuple[str, int]] = {
    **{
        name: (f"AWS.SimpleQueueService.{name}", 400)
        for name in (
            *("BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId"),
            *("MessageNotInflight", "QueueDeletedRecently", "TooManyEntriesInBatchRequest", "UnsupportedOperation"),
        )
    },
    "AccessDeniedException": ("AccessDenied", 403),
    "InvalidAddress": ("InvalidAddress", 404),
    "InvalidParameterValueException": ("InvalidParameterValue", 400),
    "InvalidSecurity": ("InvalidSecurity", 403),
    "MissingRequiredParameterException": ("MissingParameter", 400),
    "OverLimit": ("OverLimit", 403),
    "PurgeQueueInProgress": ("AWS.SimpleQueueService.PurgeQueueInProgress", 403),
    "QueueDoesNotExist": ("AWS.SimpleQueueService.NonExistentQueue", 400),
    "QueueNameExists": ("QueueAlreadyExists", 400),
    "ReceiptHandleIsInvalid": ("ReceiptHandleIsInvalid", 404),
    "RequestThrottled": ("RequestThrottled", 403),
    "ResourceNotFoundException": ("ResourceNotFoundException", 404),
}

_S3_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"

# Seen in reports of ListObjects, ListMultipartUploads, UploadPart and GetObjectAttributes. A condition that is no date
# is none.
_S3_UNREADABLE = {
    "": "Provided {name} not an integer or within integer range",
    "partNumber": "Part number must be an integer between 1 and 10000, inclusive",
    "x-amz-object-lock-retain-until-date": "The retain until date must be provided in ISO 8601 format",
}
_S3_IGNORED = frozenset(
    {
        *("if-modified-since", "if-unmodified-since", "x-amz-copy-source-if-modified-since"),
        *("x-amz-copy-source-if-unmodified-since", "x-amz-max-parts", "x-amz-part-number-marker", "fetch-owner"),
        *("x-amz-bypass-governance-retention", "x-amz-server-side-encryption-bucket-key-enabled"),
    }
)

# The API reference of S3, under "Response Syntax".
_S3_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectLegalHold": "LegalHold",
    "GetObjectRetention": "Retention",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}

OVERLAYS: Mapping[str, Overlay] = {
    # Every modelled error of Lambda has a member Type: AWS answers User (recorded for 400 to 429, seen for 502), and
    # Service in a ServiceException.
    # Its lists and maps refuse null by name (recorded: routing_config_exc_subzero), API Gateway's do not.
    "lambda": Overlay(
        error_defaults={"Type": "User"},
        failure_defaults={"Type": "Service"},
        null_elements_named=True,
        payload_types={"Invoke": "application/json"},
        answer_headers={"Invoke": {"TraceId": "X-Amzn-Trace-Id"}},
        # An unknown runtime of a function is an InvalidParameterValueException that names what there is.
        members_checked_by_hand=frozenset({"runtime"}),
    ),
    # Recorded: IAM shows no value in a violation (test_user_match_id_mismatch), though its model calls few sensitive.
    "iam": Overlay(hides_values=True, own_sentences=_IAM_SENTENCES),
    # A name that is too long has a sentence of its own (recorded: test_create_log_group_invalid_name_length).
    "logs": Overlay(checked_by_hand=frozenset({"LogGroupName", "LogStreamName"})),
    # Clients older than 2023 speak query; AWS still answers them, the model lists only json.
    # It says of attributes that it does not know, and of what is missing, in sentences of its own.
    "sqs": Overlay(
        protocols=("query",),
        checked_by_hand=frozenset(
            {"QueueAttributeName", "MessageSystemAttributeName", "MessageSystemAttributeNameForSends"}
        ),
        requires_by_hand=True,
        form_names=_SQS_FORM_NAMES,
        xml_namespace="http://queue.amazonaws.com/doc/2012-11-05/",
        xml_declared=True,
        url_member="QueueUrl",
        unknown_action="The action {action} is not valid for this endpoint.",
        errors=_SQS_ERRORS,
        # Seen in reports of clients that speak query, before and after AWS spoke JSON.
        query_sentences={"QueueDoesNotExist": "The specified queue does not exist for this wsdl version."},
        query_json_names={"ListQueuesResult.QueueUrls": "queueUrls", "ReceiveMessageResult.Messages": "messages"},
        # Recorded: test_delete_message_batch_invalid_msg_id, against test_too_many_entries_in_batch_request.
        bare_query_errors=frozenset({"DeleteMessageBatch"}),
    ),
    # The links in a message: a token that nobody can guess, and a subscription's ARN, which only its endpoint knows.
    "sns": Overlay(unsigned=frozenset({"ConfirmSubscription", "Unsubscribe"})),
    # The ARNs of buckets have no region, though the pattern wants one.
    "s3control": Overlay(members_checked_by_hand=frozenset({"resourceArn"})),
    # noErrorWrapping is a trait of the Smithy model that botocore's format has no word for.
    "s3": Overlay(
        bare_errors=True,
        unreadable=_S3_UNREADABLE,
        ignores_unreadable=_S3_IGNORED,
        # What is said of a cache is the client's own.
        texts=frozenset({"Expires", "ResponseExpires"}),
        exact_times=True,
        checks_roots=True,
        # A part of an object is 206, and a restore that begins 202, which the model does not say.
        telling_members={
            **dict.fromkeys(("GetObject", "HeadObject"), ("ContentRange", 206)),
            "RestoreObject": ("RestoreOutputPath", 202),
        },
        violation={
            "": ("MalformedXML", _S3_MALFORMED),
            **dict.fromkeys(("PutBucketAcl", "PutObjectAcl"), ("MalformedACLError", _S3_MALFORMED)),
        },
        # Recorded (test_bucket_tagging_crud, test_s3_inventory_report_crud ...); the API reference says 200.
        statuses=dict.fromkeys(
            (
                *("PutBucketAnalyticsConfiguration", "PutBucketInventoryConfiguration"),
                *("PutBucketMetricsConfiguration", "PutBucketPolicy", "PutBucketTagging"),
            ),
            204,
        ),
        roots=_S3_ROOTS,
        roots_namespace="http://s3.amazonaws.com/doc/2006-03-01/",
        bare_root="GetBucketLocation",
        superseded=frozenset(
            {
                *("GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification"),
                "ListDirectoryBuckets",
            }
        ),
        # Refused in sentences of their own: services/s3.
        checked_by_hand=frozenset(
            {
                *("BucketLocationConstraint", "BucketLogsPermission", "Event", "FilterRuleName", "ObjectKey"),
                *("NonEmptyKmsKeyArnString", "Permission", "Type"),
            }
        ),
        answer_headers={key: {"BucketRegion": "x-amz-bucket-region"} for key in ("ListObjects", "ListObjectsV2")},
    ),
}
