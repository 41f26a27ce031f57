"""What an adapter is judged by: likeness, faithfulness, few-step signals, and the statistics that compare them."""
