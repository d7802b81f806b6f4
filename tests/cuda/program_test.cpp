// The program on the GPU as a user runs it: the CPU's results, and messages when the device gives no memory or fails.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/workplace.h"

namespace aid::tools::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Whatever the software GPU reports, leaks too, fails the program.
Outcome run_checked(const std::string& arguments) { return run_aid(arguments, "", "SOFTGPU_EXIT_CHECK=1"); }

std::string on(const char* device, const char* precision) {
  return std::string(" --device ") + device + " --precision " + precision;
}

// Numbers within `tolerance` of each other, all else equal.
void expect_near(const json& actual, const json& expected, double tolerance, const std::string& where) {
  if (expected.is_number()) {
    EXPECT_NEAR(actual.get<double>(), expected.get<double>(), tolerance) << where;
  } else if (expected.is_structured()) {
    ASSERT_EQ(actual.size(), expected.size()) << where;
    for (const auto& [key, value] : expected.items()) {
      expect_near(expected.is_array() ? actual.at(std::stoul(key)) : actual.at(key), value, tolerance,
                  where + "/" + key);
    }
  } else {
    EXPECT_EQ(actual, expected) << where;
  }
}

// A loss of every step.
std::vector<double> losses(const fs::path& folder) {
  std::istringstream log(io::read_text(folder / "log.csv"));
  std::vector<double> values;
  for (std::string line; std::getline(log, line);) {
    std::istringstream fields(line);
    std::string loss;
    for (int i = 0; i < 3; ++i) std::getline(fields, loss, ',');
    if (!loss.empty() && std::isdigit(static_cast<unsigned char>(loss[0])) != 0) values.push_back(std::stod(loss));
  }
  return values;
}

// Both see the same masks of dropout, so the same training.
TEST(ProgramOnGpu, TrainsEvaluatesAndPredictsAsOnTheCpu) {
  for (const auto& [name, tolerance] : {std::pair{"f32", 2e-5}, std::pair{"bf16", 2e-2}}) {
    const char* const precision = name;
    const Workplace place;
    const fs::path on_cpu = place.folder / "cpu", report = place.folder / "report.json";
    ASSERT_EQ(run_aid(place.command("--epochs 2" + on("cpu", precision))).status, 0);
    fs::rename(place.out, on_cpu);
    const Outcome run = run_checked(place.command("--epochs 2" + on("cuda", precision)));
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_TRUE(contains(run.err, "beto on cuda (") && contains(run.err, std::string("), ") + precision)) << run.err;
    const std::vector<double> expected = losses(on_cpu), actual = losses(place.out);
    ASSERT_GE(expected.size(), 12u);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance * expected[i]) << i;

    const auto evaluated = [&](const char* device) {
      const Outcome eval = run_checked("eval " + quoted(on_cpu) + " " + quoted(place.val) + " --json " +
                                       quoted(report) + on(device, precision));
      EXPECT_EQ(eval.status, 0) << eval.err;
      return json::parse(io::read_text(report))["metrics"];
    };
    expect_near(evaluated("cuda"), evaluated("cpu"), tolerance, "eval");

    const auto predicted = [&](const char* device) {
      const Outcome predict =
          run_checked("predict " + quoted(on_cpu) + " " + quoted(place.val) + on(device, precision));
      EXPECT_EQ(predict.status, 0) << predict.err;
      std::istringstream lines(predict.out);
      json all = json::array();
      for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
      return all;
    };
    const json there = predicted("cuda");
    EXPECT_EQ(there.size(), 8u);
    expect_near(there, predicted("cpu"), tolerance, "predict");
  }
}

TEST(ProgramOnGpu, InfoNamesTheGpuOrSaysWhyThereIsNone) {
  EXPECT_TRUE(contains(run_checked("info").out, "\ndevice             cuda: "));
  const std::string without = "SOFTGPU_FAIL=cudaGetDeviceCount:1,cudaGetDeviceCount:2,cudaGetDeviceCount:3";
  const Outcome info = run_aid("info", "", without);
  EXPECT_EQ(info.status, 0);
  EXPECT_TRUE(contains(info.out, "\ndevice             cpu (no CUDA device: no CUDA-capable device is detected)\n"))
      << info.out;
}

TEST(ProgramOnGpu, OutOfMemorySaysHowMuchAndWhatToLower) {
  const Workplace place;
  put_texts(place.train, 30);
  const std::string command = place.command("--epochs 1 --gradient-accumulation 15" + on("cuda", "f32"));
  const Outcome run = run_aid(command, "", "SOFTGPU_MEMORY=2");
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err,
                       "aid: out of GPU memory: 1 MiB more were asked for, 0 MiB of 2 MiB are free; lower "
                       "--pass-tokens or --max-length, or end what else uses the GPU"))
      << run.err;
  EXPECT_FALSE(fs::exists(place.out));
  const Outcome lower = run_aid(command + " --pass-tokens 48", "", "SOFTGPU_MEMORY=2");
  EXPECT_EQ(lower.status, 0) << lower.err;
}

TEST(ProgramOnGpu, GoesOnAfterAFailureOfTheDevice) {
  const Workplace place;
  const std::string command = place.command("--epochs 2 --save-every 1" + on("cuda", "f32"));
  ASSERT_EQ(run_aid(command).status, 0);
  const auto expected = model_files(place.out);
  fs::remove_all(place.out);

  const Outcome failed = run_aid(command, "", "SOFTGPU_FAIL=kernel:400");
  EXPECT_EQ(failed.status, 1);
  EXPECT_TRUE(contains(failed.err, "unspecified launch failure (cudaErrorLaunchFailure)")) << failed.err;
  EXPECT_FALSE(fs::exists(place.out));

  const Outcome resumed = run_checked(command + " --resume");
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_TRUE(contains(resumed.err, "resumed after step ")) << resumed.err;
  const auto found = model_files(place.out);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, bytes] : expected) EXPECT_TRUE(found.at(name) == bytes) << name;
}

}  // namespace
}  // namespace aid::tools::test
