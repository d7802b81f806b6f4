#include "tools/options.h"

#include <cstdio>

#include "kernels/device/runtime.h"
#include "train/console/profile_report.h"

namespace aid::tools {
namespace {

// A device that cannot be had is told at once, not after the data were read.
std::string check_device(const std::string& device) {
  if (device == "auto" || device == "cpu") return "";
  if (device != "cuda") return device + ": expected auto, cuda or cpu";
  const std::string why = cuda::unavailable();
  return why.empty() ? "" : "cuda: " + why + "; --device cpu works without one";
}

}  // namespace

Stream::Options CommonOptions::stream() const {
  const bool on_gpu =
      device == DeviceChoice::cuda || (device == DeviceChoice::automatic && cuda::unavailable().empty());
  return {.threads = threads, .target = on_gpu ? Target::cuda : default_target(), .deterministic = deterministic};
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_option_function<std::string>(
         "--device",
         [&options](const std::string& name) {
           using enum DeviceChoice;
           options.device = name == "cuda" ? cuda : name == "cpu" ? cpu : automatic;
         },
         "Where to compute; auto: cuda where there is a GPU that can, else cpu")
      ->check(check_device)
      ->type_name("{auto,cuda,cpu}")
      ->default_str("auto");
  app.add_option_function<std::string>(
         "--precision",
         [&options](const std::string& name) {
           using enum train::Precision;
           options.precision = name == "f32" ? f32 : name == "bf16" ? bf16 : name == "f16" ? f16 : best;
         },
         "Of matrix products and activations; auto: bf16 where the processor has it, else f32; f16: on a GPU, not in "
         "training")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16"}).description(""))
      ->type_name("{auto,f32,bf16,f16}")
      ->default_str("auto");
  app.add_option("--threads", options.threads, "0: one per core that this process may use")
      ->check(CLI::Range(0, 4096).description(""))
      ->type_name("N")
      ->default_str("0");
  app.add_flag("--deterministic", options.deterministic,
               "The same bits for any number of threads, not only for the same number");
  app.add_flag("--quiet", options.quiet, "No progress on stderr, only warnings and errors");
  app.add_option("--profile", options.profile,
                 "Per op: calls, time, bytes, FLOPs, share of the machine's peak, as a table on stderr and a Chrome "
                 "trace in FILE")
      ->type_name("FILE");
}

void add_reading_options(CLI::App& app, ReadingOptions& options) {
  app.add_option_function<std::string>(
         "--long", [&options](const std::string& name) { options.long_policy = train::long_policy_from_name(name); },
         "What of a text longer than --max-length is read; default: as in training")
      ->check(CLI::IsMember({"head", "tail", "head-tail", "windows"}).description(""))
      ->type_name("{head,tail,head-tail,windows}");
  app.add_option("--max-length", options.max_length,
                 "Tokens of a sequence, [CLS] and [SEP] included; default: as in training")
      ->type_name("N");
  app.add_option("--stride", options.stride, "windows: tokens that neighbours share; default: as in training")
      ->type_name("N");
  app.add_option("--max-windows", options.max_windows,
                 "windows: at most so many a text, 0: any number; default: as in training")
      ->type_name("N");
  app.add_flag("--special-tokens-in-text", options.special_tokens_in_text,
               "Take \"[SEP]\" and the like in a text for the tokens of that name; for trusted texts only");
  app.add_option("--pass-tokens", options.tokens_per_pass,
                 "Most tokens that go through the network at a time: bounds the memory; default: 1024, on a GPU 16384")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("N");
}

train::OpenOptions open_options(const CommonOptions& common, const ReadingOptions& reading) {
  return {.stream = common.stream(),
          .precision = common.precision,
          .special_tokens_in_text = reading.special_tokens_in_text,
          .long_policy = reading.long_policy,
          .max_length = reading.max_length,
          .stride = reading.stride,
          .max_windows = reading.max_windows,
          .tokens_per_pass = reading.tokens_per_pass};
}

std::string describe(const Stream& stream, DType compute) {
  if (stream.device() == Device::cuda) return "cuda (" + cuda::device_description() + "), " + name_of(compute);
  return std::string("cpu ") + name_of(stream.target()) + ", " + std::to_string(stream.threads()) +
         (stream.threads() == 1 ? " thread, " : " threads, ") + name_of(compute);
}

ProfileSession::ProfileSession(std::string trace_file, Stream& stream)
    : trace_file_(std::move(trace_file)), stream_(stream), profiler_([&stream] { stream.synchronize(); }) {
  if (!trace_file_.empty()) stream_.set_profiler(&profiler_);
}

void ProfileSession::report(DType compute) {
  if (trace_file_.empty()) return;
  std::fputs(train::report_profile(trace_file_, profiler_, stream_, compute).c_str(), stderr);
}

}  // namespace aid::tools
