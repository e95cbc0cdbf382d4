//! Texts that the command line parses: the arguments of `import` (on a small file), shards, streams, units and lists of
//! sizes. There is one argument in each line.
#![no_main]

use hhnet::dataset::{Shard, millivolts_in, picoamperes_in};
use hhnet::model::{ModelOptions, generate_model};
use hhnet::stimulus::Stream;
use hhnet_fuzz::{file, folder, readers};
use libfuzzer_sys::fuzz_target;

const TABLE: &[u8] = b"time_ms,current_pA,potential_mV\n0,1,-65\n1,2,-64\n2,3,-63\n3,4,-62\n";

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().take(20).collect();
    let table = file("table.csv", TABLE);
    let is_safe = |line: &&&str| !line.starts_with("--out") && !line.starts_with("--force") && !line.contains('/');
    let mut arguments = vec![table.to_str().unwrap()];
    arguments.extend(lines.iter().filter(is_safe));
    readers::import(&folder(), &arguments);
    for line in &lines {
        if let Ok(shard) = line.parse::<Shard>() {
            assert!((1..=shard.count).contains(&shard.index));
            assert_eq!(shard.to_string().parse::<Shard>().unwrap(), shard);
        }
        _ = line.parse::<Stream>();
        let factors = [picoamperes_in(line), millivolts_in(line)];
        assert!(factors.into_iter().flatten().all(|factor| factor > 0.0));
    }
    let mut lists = lines.iter().map(|line| line.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>());
    if let (Some(Ok(layer_sizes)), Some(Ok(kernel_sizes))) = (lists.next(), lists.next()) {
        let options = ModelOptions { layer_sizes, kernel_sizes, ..ModelOptions::default() };
        // Up to 400 MB are allowed, which takes too long here.
        let sizes = options.layer_sizes.iter().chain(&options.kernel_sizes);
        if sizes.fold(1_usize, |product, &size| product.saturating_mul(size.max(1))) < 1 << 20 {
            _ = generate_model(&options);
        }
    }
});
