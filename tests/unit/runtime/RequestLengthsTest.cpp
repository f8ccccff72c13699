// Requests of lengths of their own: what a launch finds wrong in prefix sums, lengths and page tables. On the null device,
// whose memory the host can see.
#include "attn/Attn.h"

#include <gtest/gtest.h>

namespace attn {

static constexpr std::string_view kManifest = R"json({
  "format": 1, "name": "paged", "target": "sm_80",
  "tensors": [
    {"name": "rows", "type": "f32", "role": "input", "dims": ["q_rows"], "alignment": 4},
    {"name": "cu_seqlens_q", "type": "i32", "role": "input", "dims": ["batch + 1"], "range": ["0", "q_rows"], "ascending": true,
     "mostStep": "q_len", "alignment": 4},
    {"name": "cache", "type": "f32", "role": "input", "dims": ["pages", "16"], "alignment": 4},
    {"name": "page_table", "type": "i32", "role": "input", "dims": ["batch", "columns"], "range": ["0", "pages - 1"],
     "countedBy": "kv_lens", "countUnit": 16, "alignment": 4},
    {"name": "kv_lens", "type": "i32", "role": "input", "dims": ["batch"], "range": ["0", "columns * 16"], "alignment": 4}],
  "scalars": [], "checks": [],
  "kernels": [{"name": "paged", "grid": ["ceildiv(q_len, 64)", "batch", "1"], "threads": 32, "sharedBytes": 0,
               "params": [{"kind": "pointer", "name": "rows"}, {"kind": "extent", "name": "batch"}]}],
  "source": ""
})json";

namespace {

class RequestLengthsTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto opened = Device::open("null");
    ASSERT_TRUE(opened) << opened.status().message();
    device = *opened;
    auto module = Module::fromPtx(*device, ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry paged() { ret; }\n", std::string(kManifest));
    ASSERT_TRUE(module) << module.status().message();
    auto loaded = module->plan();
    ASSERT_TRUE(loaded) << loaded.status().message();
    plan = *loaded;
    for (int i = 0; i < 5; ++i)
      buffers.push_back(std::move(*Buffer::allocate(*device, 4096)));
  }

  /// The message of a launch for requests of 5, 0 and 7 queries, 20, 0 and 32 keys but for what is given; empty if it is right.
  std::string message(std::vector<std::int32_t> ends, std::vector<std::int32_t> table, std::vector<std::int32_t> lengths,
                      std::int64_t mostQueries = 7) {
    auto upload = [&](int i, const std::vector<std::int32_t> &values) { EXPECT_TRUE(buffers[i].upload(std::as_bytes(std::span(values)))); };
    upload(1, ends);
    upload(3, table);
    upload(4, lengths);
    auto count = static_cast<std::int64_t>(lengths.size());
    Status status = plan->launch(Stream::defaultOf(*device),
                                 {{"rows", buffers[0].view(ElementType::F32, {12})},
                                  {"cu_seqlens_q", buffers[1].view(ElementType::I32, {static_cast<std::int64_t>(ends.size())})},
                                  {"cache", buffers[2].view(ElementType::F32, {6, 16})},
                                  {"page_table", buffers[3].view(ElementType::I32, {count, 2})},
                                  {"kv_lens", buffers[4].view(ElementType::I32, {count})},
                                  {"q_len", mostQueries}});
    return std::string(status.message());
  }

  std::optional<Device> device;
  std::optional<Plan> plan;
  std::vector<Buffer> buffers;
};

} // namespace

TEST_F(RequestLengthsTest, EntriesThatNoRequestUsesMayBeAnything) {
  EXPECT_EQ(message({0, 5, 5, 12}, {4, 0, -1, 99, 5, 2}, {20, 0, 32}), "");
}

TEST_F(RequestLengthsTest, TheNumberOfRequestsFollowsFromThePrefixSums) {
  EXPECT_NE(message({0, 5, 12}, {4, 0, -1, 99, 5, 2}, {20, 0, 32}).find("`cu_seqlens_q`: dimension 0 must be `batch + 1` = 4, but is 3"),
            std::string::npos);
}

TEST_F(RequestLengthsTest, PrefixSumsAscendWithinTheRows) {
  EXPECT_NE(message({0, 5, 4, 12}, {4, 0, -1, 99, 5, 2}, {20, 0, 32}).find("`cu_seqlens_q` must ascend, but 4 at [2] follows 5"),
            std::string::npos);
  EXPECT_NE(message({0, 5, 5, 13}, {4, 0, -1, 99, 5, 2}, {20, 0, 32}).find("value 13 at [3] is out of its range 0..12"), std::string::npos);
}

TEST_F(RequestLengthsTest, NoRequestIsLongerThanTheGridHasRoomFor) {
  EXPECT_NE(message({0, 5, 5, 12}, {4, 0, -1, 99, 5, 2}, {20, 0, 32}, 6)
                .find("`cu_seqlens_q`: 12 at [3] is 7 above the one before it, but `q_len` is 6"),
            std::string::npos);
}

TEST_F(RequestLengthsTest, PagesThatAreUsedAreThere) {
  EXPECT_NE(message({0, 5, 5, 12}, {4, 6, -1, 99, 5, 2}, {20, 0, 32}).find("`page_table`: value 6 at [0, 1] is out of its range 0..5"),
            std::string::npos);
  EXPECT_EQ(message({0, 5, 5, 12}, {4, 6, -1, 99, 5, 2}, {16, 0, 32}), "");
  EXPECT_NE(message({0, 5, 5, 12}, {4, 0, -1, 99, 5, 2}, {20, 0, 33}).find("`kv_lens`: value 33 at [2] is out of its range 0..32"),
            std::string::npos);
}

} // namespace attn
