#pragma once

#include <string>
#include <utility>
#include <variant>

#include "io/error.h"

namespace aid::io::aws {

// A call to a service that failed for good: after the retries that its kind allows. what() names the operation, the
// bucket and key or table, what the service answered, its request id, and what to do; never a secret.
class CallError : public Error {
 public:
  struct Details {
    int status = 0;          // HTTP status; 0: no answer came
    std::string code;        // as the service names it ("NoSuchKey"), or ours: "Connection", "Timeout", "Cancelled",
                             // "Integrity", "MalformedAnswer", "Credentials"
    std::string request_id;  // for the service's support
    int attempts = 0;
  };
  CallError(const std::string& message, Details details) : Error(message), details_(std::move(details)) {}

  const Details& details() const { return details_; }
  int status() const { return details_.status; }
  const std::string& code() const { return details_.code; }

 private:
  Details details_;
};

// What an asynchronous operation ends in: a value, or the error that a blocking call would have thrown.
template <class T>
class Outcome {
 public:
  Outcome(T value) : content_(std::move(value)) {}
  Outcome(CallError error) : content_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(content_); }
  const CallError& error() const { return std::get<CallError>(content_); }
  // Throws the error where there is no value.
  T& value() {
    if (!ok()) throw error();
    return std::get<T>(content_);
  }

 private:
  std::variant<T, CallError> content_;
};

}  // namespace aid::io::aws
