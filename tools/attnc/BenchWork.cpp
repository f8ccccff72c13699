#include "tools/attnc/BenchWork.h"

#include "dsl/RandomInputs.h"
#include "tools/attnc/Check.h"

#include <fmt/format.h>

namespace attn::tools {

double BenchWork::flop() const {
  return 2 * points.count * static_cast<double>(spec->properties.headDim + spec->properties.headDimV);
}

std::string BenchWork::shapeText() const {
  std::string text;
  for (const auto &[name, value] : shape)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  return text;
}

/// Lengths that neither the shape nor the specification gives: both the same; one head, if any number will do.
static dsl::EvaluationInput boundShape(const dsl::TypedSpec &spec, const BenchRequest &request) {
  dsl::EvaluationInput bound = boundByName(spec, request.shape);
  auto given = [&](const char *name, std::int64_t otherwise) {
    auto found = bound.extents.find(name);
    return found == bound.extents.end() ? otherwise : found->second;
  };
  const auto length = static_cast<std::int64_t>(request.defaultLength);
  const std::int64_t qLen = given("kv_len", length), kvLen = given("q_len", length);
  bound.extents.emplace("q_len", qLen);
  bound.extents.emplace("kv_len", kvLen);
  if (spec.properties.qHeads.asName() == "q_heads")
    bound.extents.emplace("q_heads", spec.properties.kvHeads.constant().value_or(given("kv_heads", 1)));
  if (spec.properties.kvHeads.asName() == "kv_heads")
    bound.extents.emplace("kv_heads", 1);
  return bound;
}

static Status countWork(BenchWork &work, const dsl::EvaluationInput &input) {
  auto tensor = [&](std::string_view name) -> const HostTensor * {
    auto found = input.tensors.find(name);
    return found == input.tensors.end() ? nullptr : &found->second;
  };
  Result<driver::TileClasses> classes = driver::classifyTiles(work.request, work.shape, tensor);
  if (!classes)
    return classes.status();
  Result<driver::VisiblePoints> points = driver::countVisiblePoints(work.request, work.shape, tensor);
  if (!points)
    return points.status();
  const auto kvLen = static_cast<std::int64_t>(work.shape.at("kv_len"));
  work.points = *points;
  work.schedule = classes->schedule;
  work.tiles = countTiles(classes->tiles, classes->schedule.blockN, kvLen);
  for (const std::vector<driver::TileRanges> &other : classes->others)
    work.tiles += countTiles(other, classes->schedule.blockN, kvLen);
  const auto copies = static_cast<std::size_t>(classes->copies);
  work.tiles.empty *= copies;
  work.tiles.partial *= copies;
  work.tiles.full *= copies;
  return {};
}

Result<BenchWork> prepareWork(const BenchRequest &options, const Device &device) {
  Result<driver::CompileRequest> request = options.spec.request();
  if (!request)
    return request.status();
  if (request->from != driver::Stage::Source)
    return Status(StatusCode::InvalidArgument, "--from: only a specification says what its inputs may be, and how much there is to do");
  Result<std::unique_ptr<dsl::TypedSpec>> spec = driver::analyzeSpec(*request);
  if (!spec)
    return spec.status();
  Result<jit::JitSession::Kernel> kernel = compiledKernel(*request);
  if (!kernel)
    return kernel.status();
  Result<Module> module = Module::fromPtx(device, (*kernel)->ptx, (*kernel)->manifestJson);
  Result<Plan> plan = module ? module->plan() : Result<Plan>(module.status());
  if (!plan)
    return plan.status();
  if (Status status = checkValues(options.shape, plan->manifest()); !status)
    return status;
  Result<dsl::EvaluationInput> input =
      dsl::randomInput(**spec, boundShape(**spec, options), {.seed = options.seed, .varyScalars = false, .scale = 1});
  if (!input)
    return input.status();
  BenchWork work{.request = std::move(*request), .spec = std::move(*spec), .device = device, .plan = *plan, .inputs = {}, .shape = {},
                 .schedule = {}, .tiles = {}, .points = {}};
  if (options.files) {
    Result<PlanInputs> files = options.files->read(plan->manifest());
    if (!files)
      return files.status();
    dsl::EvaluationInput given = evaluationInput(*work.spec, plan->manifest(), *files);
    for (auto &[name, tensor] : given.tensors)
      input->tensors.insert_or_assign(name, std::move(tensor));
  }
  for (const auto &[name, value] : input->extents)
    work.shape[name] = static_cast<double>(value);
  for (const auto &[name, value] : input->scalars)
    work.shape[name] = value;
  work.inputs = planInputs(*work.spec, plan->manifest(), *input);
  work.inputs.splits = options.spec.splitCount();
  if (Status status = countWork(work, *input); !status)
    return status;
  return work;
}

} // namespace attn::tools
