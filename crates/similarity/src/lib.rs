//! Representational similarity of image pairs from population responses
