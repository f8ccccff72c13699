#include "dsl/Names.h"

#include <algorithm>
#include <limits>

namespace attn::dsl {

static const std::vector<std::string> kFlowNames = {
#define ATTN_FLOW(kind, name) name,
#include "dsl/Names.def"
};
static const std::vector<std::string> kPropertyNames = {
#define ATTN_PROPERTY(kind, name) name,
#include "dsl/Names.def"
};
static const std::vector<std::string> kBuiltinNames = {
#define ATTN_BUILTIN(kind, name, arguments) name,
#include "dsl/Names.def"
};
static const std::vector<std::string> kBuiltinArguments = {
#define ATTN_BUILTIN(kind, name, arguments) arguments,
#include "dsl/Names.def"
};
static const std::vector<std::string> kExtentNames = {
#define ATTN_EXTENT(name) name,
#include "dsl/Names.def"
};
static const std::vector<std::string> kIndexNames = {
#define ATTN_INDEX(kind, name) name,
#include "dsl/Names.def"
};

std::string_view spelling(FlowName name) { return kFlowNames[static_cast<std::size_t>(name)]; }
std::string_view spelling(PropertyName name) { return kPropertyNames[static_cast<std::size_t>(name)]; }
std::string_view spelling(Builtin builtin) { return kBuiltinNames[static_cast<std::size_t>(builtin)]; }
std::string_view builtinArguments(Builtin builtin) { return kBuiltinArguments[static_cast<std::size_t>(builtin)]; }

template <typename Enum> static std::optional<Enum> find(const std::vector<std::string> &names, std::string_view name) {
  auto place = std::find(names.begin(), names.end(), name);
  return place == names.end() ? std::nullopt : std::optional<Enum>(static_cast<Enum>(place - names.begin()));
}

std::optional<FlowName> findFlowName(std::string_view name) { return find<FlowName>(kFlowNames, name); }
std::optional<PropertyName> findPropertyName(std::string_view name) { return find<PropertyName>(kPropertyNames, name); }
std::optional<Builtin> findBuiltin(std::string_view name) { return find<Builtin>(kBuiltinNames, name); }
std::optional<IndexKind> findIndex(std::string_view name) { return find<IndexKind>(kIndexNames, name); }

bool isExtentName(std::string_view name) {
  return std::find(kExtentNames.begin(), kExtentNames.end(), name) != kExtentNames.end();
}

bool isStartName(std::string_view name) { return name == "q_start" || name == "kv_start"; }

std::optional<double> findConstant(std::string_view name) {
  if (name == "pi")
    return 3.14159265358979323846;
  if (name == "inf")
    return std::numeric_limits<double>::infinity();
  return std::nullopt;
}

bool isSeenByFunctions(std::string_view name) {
  return findConstant(name) || isExtentName(name) || isStartName(name) || findIndex(name) || name == "q_pos" ||
         name == "kv_pos";
}

std::vector<std::string> namesSeenByFunctions() {
  std::vector<std::string> names = {"pi", "inf", "q_start", "kv_start", "q_pos", "kv_pos"};
  names.insert(names.end(), kExtentNames.begin(), kExtentNames.end());
  names.insert(names.end(), kIndexNames.begin(), kIndexNames.end());
  return names;
}

bool isGivenValueName(std::string_view name) {
  return isSeenByFunctions(name) || findFlowName(name) || name == "softmax_scale";
}

std::vector<std::string> extentNames() { return kExtentNames; }
std::vector<std::string> flowNames() { return kFlowNames; }
std::vector<std::string> propertyNames() { return kPropertyNames; }
std::vector<std::string> builtinNames() { return kBuiltinNames; }

} // namespace attn::dsl
