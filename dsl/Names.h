// The given names of the language, from Names.def.
#pragma once

#include "dsl/TypedSpec.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn::dsl {

/// What a specification may define, in the order of evaluation.
enum class FlowName : std::uint8_t {
#define ATTN_FLOW(kind, name) kind,
#include "dsl/Names.def"
};
inline constexpr unsigned kFlowNameCount = static_cast<unsigned>(FlowName::Out) + 1;

enum class PropertyName : std::uint8_t {
#define ATTN_PROPERTY(kind, name) kind,
#include "dsl/Names.def"
};
inline constexpr unsigned kPropertyNameCount = static_cast<unsigned>(PropertyName::Grad) + 1;

enum class Builtin : std::uint8_t {
#define ATTN_BUILTIN(kind, name, arguments) kind,
#include "dsl/Names.def"
};

std::string_view spelling(FlowName name);
std::string_view spelling(PropertyName name);
std::string_view spelling(Builtin builtin);
/// The arguments as Names.def writes them.
std::string_view builtinArguments(Builtin builtin);

std::optional<FlowName> findFlowName(std::string_view name);
std::optional<PropertyName> findPropertyName(std::string_view name);
std::optional<Builtin> findBuiltin(std::string_view name);
std::optional<IndexKind> findIndex(std::string_view name);
bool isExtentName(std::string_view name);
/// `q_start`, `kv_start`.
bool isStartName(std::string_view name);
/// `pi`, `inf`.
std::optional<double> findConstant(std::string_view name);

/// Names a function sees besides its arguments: constants, extents, and `b` to `kv_pos`.
bool isSeenByFunctions(std::string_view name);
std::vector<std::string> namesSeenByFunctions();
/// Every name the language gives a value in expressions.
bool isGivenValueName(std::string_view name);
std::vector<std::string> extentNames();
std::vector<std::string> flowNames();
std::vector<std::string> propertyNames();
std::vector<std::string> builtinNames();

} // namespace attn::dsl
