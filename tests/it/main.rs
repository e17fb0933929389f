mod clients;
mod serving;
mod store_conformance;
mod support;
