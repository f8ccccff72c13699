// Writes a plan's manifest as JSON. Fields that hold their default are left out, so what stands there matters.
#include "runtime/manifest/KernelManifest.h"
#include "runtime/manifest/ManifestNames.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace attn {

using Json = nlohmann::ordered_json;

static Json texts(const std::vector<SizeExpr> &exprs) {
  Json list = Json::array();
  for (const SizeExpr &expr : exprs)
    list.push_back(expr.text());
  return list;
}

static Json rangeJson(const ValueRange &range) { return Json::array({range.lo.text(), range.hi.text()}); }

/// JSON has no infinities and no NaN; they are written as words.
static Json numberJson(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  return value;
}

static Json tensorJson(const TensorArgument &tensor) {
  Json out = {{"name", tensor.name},
              {"type", spelling(tensor.type)},
              {"role", manifest::wordFor(manifest::kRoles, tensor.role)},
              {"dims", texts(tensor.dims)}};
  if (tensor.range)
    out["range"] = rangeJson(*tensor.range);
  if (tensor.ascending)
    out["ascending"] = true;
  if (tensor.mostStep)
    out["mostStep"] = tensor.mostStep->text();
  if (!tensor.countedBy.empty()) {
    out["countedBy"] = tensor.countedBy;
    out["countUnit"] = tensor.countUnit;
  }
  out["alignment"] = tensor.alignment;
  return out;
}

static Json scalarJson(const ScalarArgument &scalar) {
  Json out = {{"name", scalar.name}, {"type", spelling(scalar.type)}};
  if (scalar.defaultValue)
    out["default"] = numberJson(*scalar.defaultValue);
  if (scalar.range)
    out["range"] = rangeJson(*scalar.range);
  if (scalar.positive)
    out["positive"] = true;
  return out;
}

static Json kernelJson(const KernelManifest &kernel) {
  Json params = Json::array();
  for (const KernelParam &param : kernel.params) {
    Json entry = {{"kind", manifest::wordFor(manifest::kParamKinds, param.kind)}, {"name", param.name}};
    if (param.kind == KernelParam::Kind::Stride)
      entry["dim"] = param.dim;
    if (param.kind == KernelParam::Kind::TensorMap) {
      entry["dims"] = param.map.dims;
      entry["box"] = param.map.box;
      entry["swizzle"] = param.map.swizzle;
    }
    params.push_back(std::move(entry));
  }
  Json out = {{"name", kernel.name}, {"grid", texts(kernel.grid)}};
  if (kernel.blocksPerMultiprocessor > 0)
    out["blocksPerMultiprocessor"] = kernel.blocksPerMultiprocessor;
  if (kernel.use != KernelUse::Always)
    out["use"] = manifest::wordFor(manifest::kUses, kernel.use);
  if (kernel.work)
    out["work"] = {{"rows", kernel.work->rows},
                   {"keys", kernel.work->keys},
                   {"tiles", kernel.work->tiles.text()},
                   {"perMultiprocessor", kernel.work->perMultiprocessor}};
  if (kernel.work && kernel.work->visible)
    out["work"]["visible"] = kernel.work->visible->text();
  if (kernel.work && kernel.work->blockBytes > 0)
    out["work"].update({{"blockBytes", kernel.work->blockBytes}, {"sumBytes", kernel.work->sumBytes}});
  out["threads"] = kernel.threads;
  out["sharedBytes"] = kernel.sharedBytes;
  out["params"] = std::move(params);
  return out;
}

std::string toJson(const PlanManifest &plan) {
  Json out = {{"format", manifest::kFormat}, {"name", plan.name}, {"target", plan.target}};
  out["tensors"] = Json::array();
  for (const TensorArgument &tensor : plan.tensors)
    out["tensors"].push_back(tensorJson(tensor));
  out["scalars"] = Json::array();
  for (const ScalarArgument &scalar : plan.scalars)
    out["scalars"].push_back(scalarJson(scalar));
  out["checks"] = Json::array();
  for (const ExtentCheck &check : plan.checks)
    out["checks"].push_back({{"mustBeZero", check.mustBeZero.text()}, {"message", check.message}});
  out["kernels"] = Json::array();
  for (const KernelManifest &kernel : plan.kernels)
    out["kernels"].push_back(kernelJson(kernel));
  out["source"] = plan.specSource;
  if (plan.tf32)
    out["tf32"] = true;
  if (plan.keys)
    out["keys"] = plan.keys->text();
  if (plan.approximateTanh)
    out["approximateTanh"] = true;
  if (plan.float8Scores)
    out["float8Scores"] = true;
  if (plan.float8Probs)
    out["float8Probs"] = true;
  // Text that is not UTF-8 cannot stand in JSON; the damaged characters are replaced.
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace attn
