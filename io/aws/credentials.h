// The chain in which AWS programs look for credentials.
#pragma once

#include <optional>
#include <string>

#include "io/aws/http.h"
#include "io/aws/profile.h"
#include "io/aws/signer.h"

namespace aid::io::aws {

// In this order, as botocore: environment variables; the profile's role (role_arn with source_profile or
// credential_source by STS AssumeRole, or with web_identity_token_file); where the profile has no role, the
// environment's web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, by AssumeRoleWithWebIdentity); the
// profile's SSO login, keys or credential_process; the container's endpoint (ECS, EKS Pod Identity, SageMaker); the
// instance's metadata (IMDSv2). A profile that the caller named goes before the environment. The first that is set up
// is used: where it fails, the chain does not go on.
class CredentialChain {
 public:
  CredentialChain(const Configuration& configuration, HttpDriver& driver)
      : configuration_(configuration), driver_(driver) {}

  // Blocks; not on the driver's thread. Throws Error that says where was looked and what to do.
  Credentials resolve();

 private:
  std::optional<Credentials> from_environment() const;
  std::optional<Credentials> from_profile(const std::string& profile, int depth);
  std::optional<Credentials> from_keys(const std::string& profile) const;
  Credentials from_web_identity(const std::string& token_file, const std::string& role, const std::string& session);
  std::optional<Credentials> from_sso(const std::string& profile);
  std::optional<Credentials> from_process(const std::string& profile) const;
  std::optional<Credentials> from_container();
  std::optional<Credentials> from_instance();
  Credentials assume_role(const std::string& profile, const Credentials& source);
  Credentials call_sts(const Pairs& form, const Credentials* signer, const std::string& source);
  HttpAnswer fetch(const HttpRequest& request, int attempts, const std::string& what);

  const Configuration& configuration_;
  HttpDriver& driver_;
};

// The JSON that containers, the instance, SSO and processes answer with. `what` names it in errors, which show none of
// the text.
Credentials parse_credentials_json(const std::string& text, const std::string& what);

// due: to be renewed, while they are still good for a quarter of an hour at most.
enum class Freshness { fresh, due, expired };
Freshness freshness_of(const Credentials& credentials, std::int64_t now);

}  // namespace aid::io::aws
