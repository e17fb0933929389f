mod readme;
mod serving;
mod store_conformance;
mod support;
