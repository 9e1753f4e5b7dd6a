// What a device does at most: reads a second, uploads a second, multiply-adds a second.
#pragma once

#include "runtime/kernels/vulkan/vulkan.h"

namespace assay::vulkan {

// All per second, each the best of a few passes of some milliseconds. 0: the device cannot do it.
struct DevicePeaks {
  double read_bytes = 0;      // shaders from device memory
  double upload_bytes = 0;    // processor to device memory
  double float_ops = 0;       // float32, a multiply-add is two
  double half_ops = 0;        // float16
  double integer_ops = 0;     // products and sums of packed 4 x 8-bit dot products
};
Result<double> measure_read(Device& device);
Result<DevicePeaks> measure_peaks(Device& device);

}  // namespace assay::vulkan
