// The list of formats: every weight format of the passport list has a struct, and visit() finds it.
#include <gtest/gtest.h>

#include "runtime/quant/all.h"

namespace assay {
namespace {

template <class... Formats>
constexpr int size_of_list(FormatList<Formats...>) {
  return sizeof...(Formats);
}

TEST(Formats, ListsHoldEveryWeightFormatOnce) {
  std::vector<int> seen(kDtypes.size());
  const auto mark = [&]<class F>(std::type_identity<F>) { ++seen[static_cast<std::size_t>(F::kId)]; };
  for_each_format(ElementFormats{}, mark);
  for_each_format(BlockFormats{}, mark);
  for_each_format(SideFormats{}, mark);
  for (const DtypeRow& row : kDtypes)
    EXPECT_EQ(seen[static_cast<std::size_t>(row.id)], row.is_weight ? 1 : 0) << row.name;
  EXPECT_EQ(size_of_list(ElementFormats{}), 5);
  EXPECT_EQ(size_of_list(BlockFormats{}), 24);
}

TEST(Formats, VisitFindsTheStructOfEveryWeightFormat) {
  for (const DtypeRow& row : kDtypes) {
    if (!row.is_weight) continue;
    const FormatId found = visit(row.id, []<class F>(std::type_identity<F>) { return F::kId; });
    EXPECT_EQ(name_of(found), row.name);
  }
}

TEST(FormatsDeathTest, VisitDoesNotTakeOtherFormats) {
  EXPECT_DEATH(visit(FormatId::I32, [](auto) {}), "weight format");
}

TEST(Formats, BlocksHaveWholeRunsAndGroups) {
  for_each_format(BlockFormats{}, []<class F>(std::type_identity<F>) {
    const DtypeRow& dtype = dtype_of(F::kId);
    EXPECT_EQ(F::kBlock, static_cast<int>(dtype.block_values)) << dtype.name;
    EXPECT_EQ(sizeof(typename F::Block), dtype.block_bytes) << dtype.name;
    EXPECT_EQ(F::kBlock % 32, 0) << dtype.name;
    EXPECT_EQ(F::kBlock % F::kGroup, 0) << dtype.name;
    EXPECT_TRUE(F::kGroup == 16 || F::kGroup == 32 || F::kGroup == F::kBlock) << dtype.name;
    EXPECT_LE(F::kMaxLevel, 255) << dtype.name;
  });
}

TEST(Formats, OffsetsAreZeroWhereAFormatHasNone) {
  for_each_format(BlockFormats{}, []<class F>(std::type_identity<F>) {
    if (F::kHasOffset) return;
    typename F::Block block;
    std::memset(static_cast<void*>(&block), 0x5a, sizeof(block));
    for (int group = 0; group < F::kBlock / F::kGroup; ++group)
      EXPECT_EQ(F::affine(block, group).offset, 0.0f) << name_of(F::kId);
  });
}

}  // namespace
}  // namespace assay
