// Gives the precompiled headers a target to belong to (scripts/cmake/AssayTargets.cmake).
