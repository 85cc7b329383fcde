//! Residual networks trained to classify while their similarities follow a neural target
