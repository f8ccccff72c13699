// Reads a manifest strictly: a missing, unknown or ill-typed field is refused with its place in the document
// (`/tensors/2/dims/0: …`), because what is launched from it is not checked again.
#include "runtime/manifest/KernelManifest.h"
#include "runtime/manifest/ManifestChecks.h"
#include "runtime/manifest/ManifestNames.h"
#include "support/NearestName.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

namespace attn {

using Json = nlohmann::json;

namespace {

/// Thrown inside this file only; `parseManifest` turns it into the message.
struct BadManifest {
  std::string message;
};

/// A value and where it stands.
class Place {
public:
  Place(const Json &value, std::string path) : value(value), path(std::move(path)) {}

  [[noreturn]] void fail(std::string_view message) const {
    throw BadManifest{fmt::format("{}: {}", path.empty() ? "/" : path, message)};
  }

  /// The members must be among `known`.
  void expectObject(std::initializer_list<std::string> known) const {
    if (!value.is_object())
      fail(fmt::format("expects an object, but got {}", value.type_name()));
    const std::vector<std::string> names(known);
    for (const auto &[key, member] : value.items())
      if (std::find(names.begin(), names.end(), key) == names.end())
        fail(fmt::format("unknown field `{}`{}", key, nameHint(key, names)));
  }
  bool has(const char *key) const { return value.contains(key); }
  Place field(const char *key) const {
    if (!value.contains(key))
      fail(fmt::format("lacks the field `{}`", key));
    return {value[key], path + "/" + key};
  }
  std::vector<Place> items() const {
    if (!value.is_array())
      fail(fmt::format("expects a list, but got {}", value.type_name()));
    std::vector<Place> out;
    for (std::size_t i = 0; i < value.size(); ++i)
      out.emplace_back(value[i], fmt::format("{}/{}", path, i));
    return out;
  }

  std::string text() const {
    if (!value.is_string())
      fail(fmt::format("expects a string, but got {}", value.type_name()));
    return value.get<std::string>();
  }
  bool boolean() const {
    if (!value.is_boolean())
      fail(fmt::format("expects true or false, but got {}", value.type_name()));
    return value.get<bool>();
  }
  std::uint32_t natural(std::uint32_t limit = std::numeric_limits<std::int32_t>::max()) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit)
      fail(fmt::format("expects a whole number from 0 to {}, but got {}", limit, value.dump()));
    return value.get<std::uint32_t>();
  }
  double number() const {
    if (value.is_number())
      return value.get<double>();
    const std::string word = value.is_string() ? value.get<std::string>() : "";
    if (word == "inf" || word == "-inf")
      return word == "inf" ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
    if (word == "nan")
      return std::numeric_limits<double>::quiet_NaN();
    fail(fmt::format("expects a number, \"inf\", \"-inf\" or \"nan\", but got {}", value.dump()));
  }
  SizeExpr size() const {
    std::string error;
    auto expr = SizeExpr::parse(text(), &error);
    if (!expr)
      fail(fmt::format("`{}` is not a size: {}", text(), error));
    return *expr;
  }
  std::vector<SizeExpr> sizes() const {
    std::vector<SizeExpr> out;
    for (const Place &item : items())
      out.push_back(item.size());
    return out;
  }
  ElementType elementType() const {
    auto type = parseElementType(text());
    if (!type)
      fail(fmt::format("`{}` is not an element type", text()));
    return *type;
  }
  ValueRange range() const {
    auto ends = sizes();
    if (ends.size() != 2)
      fail(fmt::format("expects two ends, but got {}", ends.size()));
    return {ends[0], ends[1]};
  }
  template <typename Table> auto word(const Table &table) const {
    std::vector<std::string> words;
    for (const auto &[name, meaning] : table) {
      if (name == text())
        return meaning;
      words.emplace_back(name);
    }
    fail(fmt::format("unknown word `{}`{}", text(), nameHint(text(), words)));
  }

private:
  const Json &value;
  std::string path;
};

} // namespace

static TensorArgument readTensor(const Place &place) {
  place.expectObject({"name", "type", "role", "dims", "range", "ascending", "mostStep", "countedBy", "countUnit", "alignment"});
  TensorArgument tensor;
  tensor.name = place.field("name").text();
  tensor.type = place.field("type").elementType();
  tensor.role = place.field("role").word(manifest::kRoles);
  tensor.dims = place.field("dims").sizes();
  if (place.has("range"))
    tensor.range = place.field("range").range();
  if (place.has("ascending"))
    tensor.ascending = place.field("ascending").boolean();
  if (place.has("mostStep"))
    tensor.mostStep = place.field("mostStep").size();
  if (place.has("countedBy")) {
    tensor.countedBy = place.field("countedBy").text();
    tensor.countUnit = place.field("countUnit").natural();
  }
  tensor.alignment = place.field("alignment").natural();
  return tensor;
}

static ScalarArgument readScalar(const Place &place) {
  place.expectObject({"name", "type", "default", "range", "positive"});
  ScalarArgument scalar;
  scalar.name = place.field("name").text();
  scalar.type = place.field("type").elementType();
  if (place.has("default"))
    scalar.defaultValue = place.field("default").number();
  if (place.has("range"))
    scalar.range = place.field("range").range();
  if (place.has("positive"))
    scalar.positive = place.field("positive").boolean();
  return scalar;
}

static std::vector<std::uint32_t> readNaturals(const Place &place) {
  std::vector<std::uint32_t> out;
  for (const Place &item : place.items())
    out.push_back(item.natural());
  return out;
}

static KernelParam readParam(const Place &entry) {
  entry.expectObject({"kind", "name", "dim", "dims", "box", "swizzle"});
  KernelParam param;
  param.kind = entry.field("kind").word(manifest::kParamKinds);
  param.name = entry.field("name").text();
  if (param.kind == KernelParam::Kind::Stride)
    param.dim = entry.field("dim").natural();
  else if (entry.has("dim"))
    entry.fail("only a stride has a `dim`");
  if (param.kind == KernelParam::Kind::TensorMap) {
    param.map.dims = readNaturals(entry.field("dims"));
    param.map.box = readNaturals(entry.field("box"));
    param.map.swizzle = entry.field("swizzle").natural();
    return param;
  }
  for (const char *name : {"dims", "box", "swizzle"})
    if (entry.has(name))
      entry.fail(fmt::format("only a tensor map has `{}`", name));
  return param;
}

static TileWork readWork(const Place &place) {
  place.expectObject({"rows", "keys", "tiles", "perMultiprocessor", "visible", "blockBytes", "sumBytes"});
  TileWork work{place.field("rows").natural(), place.field("keys").natural(), place.field("tiles").size(),
                place.field("perMultiprocessor").natural()};
  if (place.has("visible"))
    work.visible = place.field("visible").size();
  if (place.has("blockBytes")) {
    work.blockBytes = place.field("blockBytes").natural();
    work.sumBytes = place.field("sumBytes").natural();
  }
  return work;
}

static KernelManifest readKernel(const Place &place) {
  place.expectObject({"name", "grid", "blocksPerMultiprocessor", "use", "work", "threads", "sharedBytes", "params"});
  KernelManifest kernel;
  kernel.name = place.field("name").text();
  kernel.grid = place.field("grid").sizes();
  if (place.has("blocksPerMultiprocessor"))
    kernel.blocksPerMultiprocessor = place.field("blocksPerMultiprocessor").natural();
  if (place.has("use"))
    kernel.use = place.field("use").word(manifest::kUses);
  if (place.has("work"))
    kernel.work = readWork(place.field("work"));
  kernel.threads = place.field("threads").natural();
  kernel.sharedBytes = place.field("sharedBytes").natural();
  for (const Place &entry : place.field("params").items())
    kernel.params.push_back(readParam(entry));
  return kernel;
}

static PlanManifest readPlan(const Place &place) {
  place.expectObject({"format", "name", "target", "tensors", "scalars", "checks", "kernels", "source", "tf32", "approximateTanh", "keys", "float8Scores", "float8Probs"});
  if (std::uint32_t format = place.field("format").natural(); format != manifest::kFormat)
    place.field("format").fail(fmt::format("this version reads format {}, but got {}", manifest::kFormat, format));
  PlanManifest plan;
  plan.name = place.field("name").text();
  plan.target = place.field("target").text();
  for (const Place &item : place.field("tensors").items())
    plan.tensors.push_back(readTensor(item));
  for (const Place &item : place.field("scalars").items())
    plan.scalars.push_back(readScalar(item));
  for (const Place &item : place.field("checks").items()) {
    item.expectObject({"mustBeZero", "message"});
    plan.checks.push_back({item.field("mustBeZero").size(), item.field("message").text()});
  }
  for (const Place &item : place.field("kernels").items())
    plan.kernels.push_back(readKernel(item));
  plan.specSource = place.field("source").text();
  if (place.has("tf32"))
    plan.tf32 = place.field("tf32").boolean();
  if (place.has("keys"))
    plan.keys = place.field("keys").size();
  if (place.has("approximateTanh"))
    plan.approximateTanh = place.field("approximateTanh").boolean();
  if (place.has("float8Scores"))
    plan.float8Scores = place.field("float8Scores").boolean();
  if (place.has("float8Probs"))
    plan.float8Probs = place.field("float8Probs").boolean();
  return plan;
}

/// The parser names bytes; people count lines.
static std::string syntaxMessage(std::string_view json, const Json::parse_error &error) {
  std::size_t offset = std::min(error.byte > 0 ? error.byte - 1 : 0, json.size());
  std::string_view before = json.substr(0, offset);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  std::size_t lineStart = before.rfind('\n');
  std::size_t column = offset - (lineStart == std::string_view::npos ? 0 : lineStart + 1) + 1;
  return fmt::format("line {}, column {}: not valid JSON", line, column);
}

std::optional<PlanManifest> parseManifest(std::string_view json, std::string *error) {
  std::string message;
  try {
    const Json document = Json::parse(json);
    PlanManifest plan = readPlan(Place(document, ""));
    message = manifest::findInconsistency(plan);
    if (message.empty())
      return plan;
  } catch (const BadManifest &bad) {
    message = bad.message;
  } catch (const Json::parse_error &bad) {
    message = syntaxMessage(json, bad);
  }
  if (error)
    *error = "manifest: " + message;
  return std::nullopt;
}

} // namespace attn
