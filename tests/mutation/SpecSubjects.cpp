// Kernels that the compiler emits, run on random inputs. Shapes are odd and have several tiles of keys, so that rings of
// buffers wrap; with few multiprocessors, kernels that stay on one do several tiles of queries.
#include "tests/mutation/Subject.h"

#include "attn/Module.h"
#include "driver/Compiler.h"
#include "dsl/RandomInputs.h"
#include "dsl/TypedSpec.h"
#include "runtime/emulator/EmulatorDevice.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>

#include <map>

namespace attn::mutation {

namespace {

struct Spec {
  const char *name;
  const char *text;
  std::vector<std::map<std::string, double>> shapes;
};

class SpecSubject final : public Subject {
public:
  SpecSubject(const Spec &spec, std::string target) : spec(spec), compileTarget(std::move(target)) {}

  Status prepare() {
    driver::CompileRequest request;
    request.source = spec.text;
    request.fileName = std::string(spec.name) + ".attn";
    request.target = compileTarget;
    Result<driver::CompiledPlan> plan = driver::compileSpec(request);
    if (!plan)
      return plan.status();
    compiled = std::move(*plan);
    Result<std::unique_ptr<dsl::TypedSpec>> analyzed = driver::analyzeSpec(request);
    if (!analyzed)
      return analyzed.status();
    typed = std::move(*analyzed);
    for (const auto &shape : spec.shapes) {
      Result<dsl::EvaluationInput> random = dsl::randomInput(*typed, tools::boundByName(*typed, shape), {.seed = 1, .varyScalars = false, .scale = 1});
      if (!random)
        return random.status();
      made.push_back(std::move(*random));
    }
    return {};
  }

  std::string name() const override { return spec.name; }
  std::string target() const override { return compileTarget; }
  std::vector<std::string> entries() const override {
    std::vector<std::string> names;
    for (const KernelManifest &kernel : compiled.manifest.kernels)
      names.push_back(kernel.name);
    return names;
  }
  std::size_t inputs() const override { return made.size(); }
  std::string text() const override { return compiled.ptx; }

  Outcome run(const std::string &ptx, const Schedule &schedule, std::size_t input) override {
    Outcome outcome;
    Result<Device> device = deviceOf(schedule);
    Result<Module> module = device ? Module::fromPtx(*device, ptx, toJson(compiled.manifest)) : Result<Module>(device.status());
    Result<Plan> plan = module ? module->plan() : Result<Plan>(module.status());
    if (!plan)
      return outcome;
    outcome.isLoaded = true;
    Result<tools::NamedTensors> outputs = tools::runOnInput(*device, *plan, *typed, made[input], tools::MemoryOrder::Contiguous);
    if (std::optional<emulator::LaunchReport> report = runtime::lastLaunchReport(*device))
      for (const emulator::LineCounters &line : report->counters.lines)
        if (line.activeLanes)
          outcome.lines.insert(line.ptxLine);
    if (!outputs)
      outcome.finding = outputs.status().message();
    else
      for (const auto &[key, tensor] : *outputs)
        outcome.output.append(reinterpret_cast<const char *>(tensor.bytes.data()), tensor.bytes.size());
    return outcome;
  }

private:
  Result<Device> deviceOf(const Schedule &schedule) {
    if (auto found = devices.find(schedule.name); found != devices.end())
      return found->second;
    DeviceOptions options;
    options.target = compileTarget;
    options.multiprocessors = 1; // blocks that stay do all tiles
    options.emulator.checks = EmulatorOptions::Checks::Full;
    options.emulator.completion = static_cast<EmulatorOptions::Completion>(schedule.completion);
    options.emulator.seed = schedule.seed;
    options.emulator.threads = 1;
    options.emulator.stepLimit = 2'000'000;
    Result<Device> device = Device::open("emulator", options);
    if (device)
      devices.emplace(schedule.name, *device);
    return device;
  }

  const Spec &spec;
  std::string compileTarget;
  driver::CompiledPlan compiled;
  std::unique_ptr<dsl::TypedSpec> typed;
  std::vector<dsl::EvaluationInput> made; ///< inputs
  std::map<std::string, Device> devices;
};

} // namespace

static const std::vector<Spec> &specs() {
  // Many tiles of keys for each tile of queries, and one tile of keys for each of many.
  const std::map<std::string, double> many = {{"batch", 1}, {"q_len", 200}, {"kv_len", 700}}, few = {{"batch", 2}, {"q_len", 1200}, {"kv_len", 90}};
  static const std::vector<Spec> list = {
      {"full", "attention full { q_heads: 2; kv_heads: 1; head_dim: 128; dtype: f16 }", {many, few}},
      {"causal", "attention causal_one { q_heads: 2; kv_heads: 2; head_dim: 64; dtype: bf16; mask = causal() }",
       {{{"batch", 1}, {"q_len", 333}, {"kv_len", 777}}, few}},
      {"odd", "attention odd { q_heads: 1; kv_heads: 1; head_dim: 72; dtype: f16 }", {{{"batch", 2}, {"q_len", 77}, {"kv_len", 401}}, {{"batch", 4}, {"q_len", 1200}, {"kv_len", 90}}}},
      {"rotary", "attention rotary { q_heads: 2; kv_heads: 1; head_dim: 64; dtype: bf16; query = rope(query, q_pos, theta = 10000); "
                 "key = rope(key, kv_pos, theta = 10000); mask = causal() }",
       {many, few}},
      {"table", "attention table(bias: f32[q_heads, 64]) { q_heads: 2; kv_heads: 2; head_dim: 64; dtype: f16; "
                "score = dot(query, key) * softmax_scale + bias[h, min(abs(q_pos - kv_pos), 63)] }",
       {many, few}},
      {"documents", "attention documents(doc: i32[batch, kv_len] in 0..9 ascending) { q_heads: 2; kv_heads: 2; head_dim: 64; dtype: bf16; "
                    "mask = causal() and same_document(doc, doc) }",
       {{{"batch", 1}, {"q_len", 400}, {"kv_len", 400}}, {{"batch", 16}, {"q_len", 100}, {"kv_len", 100}}}},
      {"latent", "attention latent { q_heads: 2; kv_heads: 1; head_dim: 288; dtype: bf16; value = key[0:256]; mask = causal() }",
       {{{"batch", 1}, {"q_len", 40}, {"kv_len", 300}}, {{"batch", 2}, {"q_len", 100}, {"kv_len", 60}}}},
  };
  return list;
}

std::vector<std::unique_ptr<Subject>> specSubjects(const std::string &target, std::string &error) {
  std::vector<std::unique_ptr<Subject>> out;
  for (const Spec &spec : specs()) {
    auto subject = std::make_unique<SpecSubject>(spec, target);
    if (Status status = subject->prepare(); !status)
      error += fmt::format("{} for {}: {}\n", spec.name, target, status.message());
    else
      out.push_back(std::move(subject));
  }
  return out;
}

} // namespace attn::mutation
