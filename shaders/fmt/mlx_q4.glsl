// MLX_Q4: see mlx.glsl.
#define F_BITS 4
#include "mlx.glsl"
