"""Tests the template: lints it, translates it as AWS does, and creates it in moto, a local emulation."""

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path

os.environ |= {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# Otherwise moto needs Docker to create a function.
os.environ["MOTO_LAMBDA_SIMPLE"] = "1"

import boto3
from cfnlint.decode import cfn_yaml
from moto import mock_aws
from samtranslator.translator.transform import transform

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
CODE = {"Bucket": "code", "Key": "bootstrap.zip"}


class Policies:
    """AWS's managed policies; the template uses none."""

    def load(self) -> dict:
        return {}


def template(**parameters: str) -> dict:
    """The template translated to plain CloudFormation, with these parameters."""
    read = json.loads(json.dumps(cfn_yaml.load(str(TEMPLATE))))
    read["Resources"]["Function"]["Properties"]["CodeUri"] = CODE
    return transform(read, parameters, Policies())


def statements(translated: dict) -> list[tuple[str, dict]]:
    """Every policy statement, with the name of its resource."""
    found = []

    def look(name: str, value: object) -> None:
        if isinstance(value, dict):
            if "Effect" in value:
                found.append((name, value))
            for inner in value.values():
                look(name, inner)
        elif isinstance(value, list):
            for inner in value:
                look(name, inner)

    for name, resource in translated["Resources"].items():
        look(name, resource["Properties"])
    return found


class Template(unittest.TestCase):
    def test_it_is_clean(self):
        linted = subprocess.run([Path(sys.executable).with_name("cfn-lint"), TEMPLATE], capture_output=True, text=True, check=False)
        self.assertEqual(linted.returncode, 0, linted.stdout + linted.stderr)

    def test_nothing_is_allowed_but_what_is_needed(self):
        allowed = []
        for name, statement in statements(template()):
            if statement["Effect"] == "Deny":
                self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}}, name)
            else:
                allowed.append((name, {key: value for key, value in statement.items() if key not in ("Effect", "Sid")}))
        distribution = "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Page}"
        self.assertEqual(allowed, [
            ("Role", {"Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}),
            ("Role", {"Action": "s3:GetObject", "Resource": {"Fn::Sub": "${Models.Arn}/models/*"}}),
            ("Role", {"Action": "s3:ListBucket", "Resource": {"Fn::GetAtt": ["Models", "Arn"]},
                      "Condition": {"StringLike": {"s3:prefix": "models/*"}}}),
            ("Role", {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": ["Log", "Arn"]}}),
            ("SitePolicy", {"Action": "s3:GetObject", "Principal": {"Service": "cloudfront.amazonaws.com"},
                            "Resource": {"Fn::Sub": "${Site.Arn}/*"},
                            "Condition": {"StringEquals": {"AWS:SourceArn": {"Fn::Sub": distribution}}}}),
        ])

    def test_logs_end_instances_are_bounded_and_spending_is_written_of(self):
        resources = template()["Resources"]
        self.assertEqual(resources["Log"]["Properties"], {"RetentionInDays": {"Ref": "LogDays"}})
        self.assertEqual(resources["Function"]["Properties"]["ReservedConcurrentExecutions"],
                         {"Fn::If": ["Reserved", {"Ref": "Concurrency"}, {"Ref": "AWS::NoValue"}]})
        spend = resources["Spend"]["Properties"]
        self.assertEqual(spend["Budget"]["BudgetLimit"], {"Amount": {"Ref": "DollarsAMonth"}, "Unit": "USD"})
        told = spend["NotificationsWithSubscribers"]
        self.assertEqual({n["Notification"]["NotificationType"] for n in told}, {"FORECASTED", "ACTUAL"})
        self.assertEqual({s["Address"]["Ref"] for n in told for s in n["Subscribers"]}, {"BudgetMail"})

    def test_the_page_is_served_with_the_policy_that_it_states(self):
        page = (TEMPLATE.parent.parent / "web-demo" / "index.html").read_text()
        stated = page.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
        headers = template()["Resources"]["PageHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        self.assertEqual(headers["ContentSecurityPolicy"], {"ContentSecurityPolicy": stated, "Override": True})
        served = template()["Resources"]["Page"]["Properties"]["DistributionConfig"]["DefaultCacheBehavior"]
        self.assertEqual(served["ResponseHeadersPolicyId"], {"Ref": "PageHeaders"})

    def test_buckets_are_private_versioned_and_kept(self):
        resources = template()["Resources"]
        for name in ("Models", "Site"):
            bucket = resources[name]
            self.assertEqual((bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
            self.assertEqual(bucket["Properties"]["VersioningConfiguration"], {"Status": "Enabled"})
            self.assertEqual(set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()), {True})
            policy = resources[f"{name}Policy"]["Properties"]
            self.assertEqual(policy["Bucket"], {"Ref": name})
            denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
            self.assertEqual([len(s["Resource"]) for s in denied], [2], "of the bucket and of all in it")

    def test_the_digest_of_an_empty_token_is_no_parameter(self):
        pattern = template()["Parameters"]["TokenSha256"]["AllowedPattern"]
        good, empty = ["a" * 64, hashlib.sha256(b"x").hexdigest()], hashlib.sha256(b"").hexdigest()
        self.assertRegex(",".join(good), pattern)
        for bad in (empty, f"{good[0]},{empty}", f"{empty},{good[0]}"):
            self.assertNotRegex(bad, pattern)

    def test_any_pair_that_a_manifest_may_name_can_be_preloaded(self):
        pattern = template()["Parameters"]["Preload"]["AllowedPattern"]
        for good in ("", "cifar10-w1/3.2.0", "Obst_2/1.0"):
            self.assertRegex(good, pattern)
        for bad in ("a", "a/", "/1", "../1", "a/b/c", "a b/1"):
            self.assertNotRegex(bad, pattern)

    def test_only_a_function_that_asks_for_a_token_is_open_to_everybody(self):
        resources = template()["Resources"]
        open_ = {name: r for name, r in resources.items() if r["Type"] == "AWS::Lambda::Permission"}
        self.assertEqual({r["Properties"]["Action"] for r in open_.values()}, {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"})
        self.assertEqual({r["Condition"] for r in open_.values()}, {"ByToken"})
        # The URL belongs to the alias, and so must the permissions.
        self.assertEqual([r["Properties"]["FunctionName"] for r in open_.values()], [{"Ref": "FunctionAliaslive"}] * 2)
        self.assertEqual(resources["FunctionUrl"]["Properties"]["TargetFunctionArn"], {"Ref": "FunctionAliaslive"})
        self.assertEqual(resources["FunctionUrl"]["Properties"]["AuthType"], {"Fn::If": ["ByToken", "NONE", "AWS_IAM"]})

    def test_the_page_alone_may_ask_from_a_browser_and_may_send_and_read_what_an_edge_does(self):
        cors = template()["Resources"]["FunctionUrl"]["Properties"]["Cors"]
        self.assertEqual(cors.pop("AllowOrigins"), [{"Fn::Sub": "https://${Page.DomainName}"}])
        self.assertEqual(cors.pop("AllowMethods"), ["GET", "POST"])
        self.assertEqual(cors.pop("AllowHeaders"), ["authorization", "content-type", "accept"])
        self.assertEqual(cors.pop("ExposeHeaders"), ["server-timing", "retry-after"])
        self.assertEqual(cors.pop("MaxAge"), 3600)
        self.assertEqual(cors, {}, "no cookies")

    def test_every_release_is_a_version_to_go_back_to(self):
        def version(release: str) -> str:
            resources = template(Release=release)["Resources"]
            (name,) = [name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version"]
            self.assertEqual(resources[name]["DeletionPolicy"], "Retain")
            self.assertEqual(resources["FunctionAliaslive"]["Properties"]["FunctionVersion"], {"Fn::GetAtt": [name, "Version"]})
            return name

        self.assertEqual(version("1795651200"), version("1795651200"))
        self.assertNotEqual(version("1795651200"), version("1795651201"))

    def test_every_alarm_watches_the_function_and_tells_somebody(self):
        resources = template()["Resources"]
        alarms = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
        self.assertEqual(set(alarms), {"Errors", "Throttles", "Slow"})
        for name, alarm in alarms.items():
            self.assertEqual(alarm["AlarmActions"], {"Fn::If": ["Alarmed", [{"Ref": "AlarmTopic"}], []]}, name)
            self.assertIn('{"Name": "FunctionName", "Value": {"Ref": "Function"}}', json.dumps(alarm), name)
        counted = [metric["MetricStat"]["Metric"]["MetricName"] for metric in alarms["Errors"]["Metrics"] if "MetricStat" in metric]
        self.assertEqual(counted, ["Url5xxCount", "UrlRequestCount"])


@mock_aws
class Stack(unittest.TestCase):
    def create(self, **parameters: str) -> dict:
        """Creates a stack with these parameters; returns its resources' ids by name."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as file:
            file.writestr("bootstrap", "")
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=CODE["Bucket"], CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket=CODE["Bucket"], Key=CODE["Key"], Body=code.getvalue())
        client = boto3.client("cloudformation")
        # moto cannot resolve CloudFront outputs.
        translated = template() | {"Outputs": {}}
        # It also lacks permissions on aliases.
        for name in ("AnybodyMayCall", "AnybodyMayInvokeByUrl"):
            del translated["Resources"][name]
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        client.create_stack(StackName="fogline", TemplateBody=json.dumps(translated), Parameters=given, Capabilities=["CAPABILITY_IAM"])
        made = client.describe_stack_resources(StackName="fogline")["StackResources"]
        # Resources that moto does not support have no ids.
        made = [resource for resource in made if "PhysicalResourceId" in resource and "LogicalResourceId" in resource]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in made}

    def test_function_bucket_and_role_are_really_there(self):
        made = self.create(Memory="2048", Architecture="x86_64", Preload="cifar10-w1/1.0.0", TokenSha256="a" * 64)
        functions = boto3.client("lambda").list_functions()["Functions"]
        self.assertEqual([f["FunctionName"] for f in functions], [made["Function"]])
        function = functions[0]
        self.assertEqual((function["Runtime"], function["MemorySize"], function["Timeout"]), ("provided.al2023", 2048, 30))
        self.assertEqual(function["Architectures"], ["x86_64"])
        variables = function["Environment"]["Variables"]
        self.assertEqual(variables["FOGLINE_AUTH"], "token")
        self.assertEqual(variables["FOGLINE_TOKEN_SHA256"], "a" * 64)
        self.assertEqual(variables["FOGLINE_BUCKET"], made["Models"])
        self.assertEqual(variables["FOGLINE_PRELOAD"], "cifar10-w1/1.0.0")

        s3 = boto3.client("s3")
        there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        self.assertLessEqual({made["Models"], made["Site"]}, there)

        iam = boto3.client("iam")
        self.assertEqual(iam.list_attached_role_policies(RoleName=made["Role"])["AttachedPolicies"], [])
        policy = iam.get_role_policy(RoleName=made["Role"], PolicyName="fogline")["PolicyDocument"]
        # moto stores CloudFormation's value as the text of a Python object.
        policy = ast.literal_eval(policy) if isinstance(policy, str) else policy
        read = next(s for s in policy["Statement"] if s["Action"] == "s3:GetObject")
        self.assertEqual(read["Resource"], f"arn:aws:s3:::{made['Models']}/models/*")


if __name__ == "__main__":
    unittest.main()
